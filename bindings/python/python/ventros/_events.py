"""What callbacks share, blocking or not: decoding events and naming what to hear."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from ._decoders import build
from ._generated.events import CLASSES
from ._wire import Event, encode

log = logging.getLogger("ventros")

Pattern: TypeAlias = str | type[Struct]
"""Which events: a type (`contact.created`), a prefix (`contact.*`), `*`, or a class of `ventros.events`."""

_batch: msgspec.json.Decoder[list[Event[msgspec.Raw]]] = msgspec.json.Decoder(list[Event[msgspec.Raw]])
_data: dict[str, msgspec.json.Decoder[Any]] = {}


def decode_events(batch: bytes) -> list[Event[Any]]:
    """The events of a delivery, each with the class of its data."""
    return [msgspec.structs.replace(event, data=_decode(event)) for event in _batch.decode(batch)]


def _decode(event: Event[msgspec.Raw]) -> Any:
    decoder = _data.get(event.type)
    if decoder is None:
        decoder = build(_data, event.type, CLASSES.get(event.type, dict[str, Any]))
    return decoder.decode(event.data)


def patterns(wanted: Pattern | Sequence[Pattern]) -> list[str]:
    """The patterns as text."""
    one = isinstance(wanted, str | type)
    return [_text(pattern) for pattern in ([wanted] if one else wanted)]


def _text(pattern: Pattern) -> str:
    if isinstance(pattern, str):
        return pattern
    name: Any = getattr(pattern, "type", None)
    if not isinstance(name, str):
        raise TypeError(f"{pattern.__name__} is no event of ventros.events")
    return name


def live_options(project_id: str | None, wanted: Pattern | Sequence[Pattern]) -> bytes:
    """A subscription of this process."""
    return encode({"kind": "live", "project_id": project_id, "events": patterns(wanted)})


def durable_options(
    project_id: str,
    name: str,
    wanted: Pattern | Sequence[Pattern],
    start: str | int,
    max_attempts: int | None,
) -> bytes:
    """A subscription that survives restarts."""
    origin = {"type": start} if isinstance(start, str) else {"type": "after", "seq": start}
    return encode(
        {
            "kind": "durable",
            "project_id": project_id,
            "name": name,
            "events": patterns(wanted),
            "start": origin,
            **({} if max_attempts is None else {"max_attempts": max_attempts}),
        }
    )


def explain(error: BaseException) -> str:
    """What the log and the dead letter say about a failed handler."""
    return f"{type(error).__name__}: {error}"
