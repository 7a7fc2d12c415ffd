"""Between Python values and the JSON of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")
D = TypeVar("D")

Raw = Mapping[str, Any] | bytes | bytearray | str
"""JSON as somebody else sent it: decoded, or the very bytes or text."""


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None
    """Give it to the next call; none on the last page."""
    prev_cursor: str | None = None
    """Give it to a call to read back; none on the first page."""
    has_more: bool = False
    total: int | None = None
    """How many there are in all, where the operation counts."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Subject(Struct, frozen=True, kw_only=True):
    """Something that an event is about."""

    kind: str
    id: str


class Event(Struct, Generic[D], frozen=True, kw_only=True):
    """Something that happened, as the log keeps it."""

    id: str
    type: str
    data: D
    """What changed, as a class of `ventros.events`; a dict for the events of the host, `custom.*`."""
    aggregate_kind: str
    aggregate_id: str
    aggregate_version: int
    project_id: str
    seq: int
    """Its number in the project's log: dense, in commit order. The one to remember."""
    occurred_at: datetime
    schema_version: int = 1
    position: int | None = None
    commit_id: str | None = None
    recorded_at: datetime | None = None
    actor: dict[str, Any] | None = None
    """Who caused it."""
    source: str | None = None
    command: str | None = None
    """The operation that recorded it."""
    correlation_id: str | None = None
    causation_id: str | None = None
    subjects: list[Subject] = msgspec.field(default_factory=list[Subject])
    metadata: dict[str, Any] | None = None
    redacted_at: datetime | None = None
    """When personal data was taken out of it; None for nearly all."""


class Command(Struct, Generic[T], frozen=True):
    """A command that is not run yet."""

    operation: str
    input: dict[str, Any]
    result: Any
    """The type of what it returns."""


def given(value: Any) -> Any:
    """None means that the caller gave nothing."""
    return UNSET if value is None else value


def raw_json(value: Raw | UnsetType | None) -> Any:
    """Bytes and text reach the engine as they are: signatures are over the very bytes."""
    if value is None:
        return UNSET
    if isinstance(value, bytes | bytearray):
        return value.decode()
    return value


_encoder = msgspec.json.Encoder()


def encode(values: Mapping[str, Any]) -> bytes:
    """JSON of what the caller gave."""
    return _encoder.encode({name: value for name, value in values.items() if value is not UNSET})
