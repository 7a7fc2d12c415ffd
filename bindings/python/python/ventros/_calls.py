"""How a generated method becomes a call of the engine, blocking or awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ._decoders import build
from ._generated.types import ClaimedJob
from ._wire import Event, Page, encode
from .errors import ErrorBody

T = TypeVar("T")

Actor = Mapping[str, Any] | str
"""Who acts: the id of a user, or `{"kind": ..., "id": ...}`."""


class Cause(NamedTuple):
    """What led to a call."""

    correlation_id: str | None
    """The flow that both belong to."""
    causation_id: str | None
    """The event that was heard, or that led to the job."""


_reacting: ContextVar[Cause | None] = ContextVar("ventros_cause", default=None)


def cause_of(cause: Event[Any] | ClaimedJob) -> Cause:
    """What follows from it is part of its flow."""
    return Cause(cause.correlation_id, cause.causation_id if isinstance(cause, ClaimedJob) else cause.id)


@contextmanager
def reacting_to(cause: Event[Any] | ClaimedJob) -> Generator[None]:
    """While a callback or handler runs, its calls say what they follow from."""
    before = _reacting.set(cause_of(cause))
    try:
        yield
    finally:
        _reacting.reset(before)


class Scope:
    """What every call through one handle carries."""

    __slots__ = ("_cause", "_plain", "actor", "project_id")

    def __init__(
        self, project_id: str | None = None, actor: dict[str, Any] | None = None, cause: Cause | None = None
    ) -> None:
        self.project_id = project_id
        self.actor = actor
        self._cause = cause
        self._plain = self._with(None, None, cause)

    def caused_by(self, cause: Event[Any] | ClaimedJob) -> Scope:
        """The same for what follows from an event or a job."""
        return Scope(self.project_id, self.actor, cause_of(cause))

    def context(self, idempotency_key: str | None, expected_version: int | None) -> bytes:
        """The context of a call as JSON."""
        cause = self._cause or _reacting.get()
        if idempotency_key is None and expected_version is None and cause is self._cause:
            return self._plain
        return self._with(idempotency_key, expected_version, cause)

    def _with(self, idempotency_key: str | None, expected_version: int | None, cause: Cause | None) -> bytes:
        correlation_id, causation_id = cause or (None, None)
        return encode(
            {
                "project_id": self.project_id,
                "actor": self.actor,
                "correlation_id": correlation_id,
                "causation_id": causation_id,
                "idempotency_key": idempotency_key,
                "expected_version": expected_version,
            }
        )


def actor_of(actor: Actor | None) -> dict[str, Any] | None:
    """A plain id is a user's."""
    if actor is None:
        return None
    return {"kind": "user", "id": actor} if isinstance(actor, str) else dict(actor)


class _Outcome(Struct, Generic[T]):
    ok: T | UnsetType = UNSET
    error: ErrorBody | None = None


_decoders: dict[str, msgspec.json.Decoder[_Outcome[Any]]] = {}


def decode(operation: str, answer: bytes, result: Any) -> Any:
    """The result of a call, or its exception."""
    decoder = _decoders.get(operation)
    if decoder is None:
        decoder = build(_decoders, operation, _Outcome[result])
    outcome = decoder.decode(answer)
    if outcome.error is not None:
        raise outcome.error.exception()
    return outcome.ok


class Caller(Protocol):
    """Calls the engine and waits."""

    def call(self, operation: str, input: bytes, context: bytes) -> bytes: ...


class AsyncCaller(Protocol):
    """Calls the engine and lets others work meanwhile."""

    async def call(self, operation: str, input: bytes, context: bytes) -> bytes: ...


class Collection:
    """Operations that belong together, bound to a project and an actor."""

    def __init__(self, engine: Caller, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    def _call(
        self,
        operation: str,
        input: Mapping[str, Any],
        result: Any,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
    ) -> Any:
        answer = self._engine.call(operation, encode(input), self._scope.context(idempotency_key, expected_version))
        return decode(operation, answer, result)

    def _list(self, operation: str, input: dict[str, Any], result: Any) -> Pager[Any]:
        return Pager(self, operation, input, result)


class Pager(Generic[T]):
    """A list that fetches its pages while you iterate."""

    def __init__(self, collection: Collection, operation: str, input: dict[str, Any], result: Any) -> None:
        self._collection = collection
        self._operation = operation
        self._input = input
        self._result = result

    def page(self, cursor: str | None = None) -> Page[T]:
        """One page: the first, or the one that `cursor` names."""
        input = self._input if cursor is None else {**self._input, "cursor": cursor}
        return self._collection._call(self._operation, input, self._result)  # pyright: ignore[reportPrivateUsage]

    def pages(self) -> Iterator[Page[T]]:
        """All pages."""
        page = self.page()
        yield page
        while page.next_cursor is not None:
            page = self.page(page.next_cursor)
            yield page

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items


class AsyncCollection:
    """Operations that belong together, bound to a project and an actor."""

    def __init__(self, engine: AsyncCaller, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    async def _call(
        self,
        operation: str,
        input: Mapping[str, Any],
        result: Any,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
    ) -> Any:
        context = self._scope.context(idempotency_key, expected_version)
        return decode(operation, await self._engine.call(operation, encode(input), context), result)

    def _list(self, operation: str, input: dict[str, Any], result: Any) -> AsyncPager[Any]:
        return AsyncPager(self, operation, input, result)


class AsyncPager(Generic[T]):
    """A list that fetches its pages while you iterate with `async for`."""

    def __init__(self, collection: AsyncCollection, operation: str, input: dict[str, Any], result: Any) -> None:
        self._collection = collection
        self._operation = operation
        self._input = input
        self._result = result

    async def page(self, cursor: str | None = None) -> Page[T]:
        """One page: the first, or the one that `cursor` names."""
        input = self._input if cursor is None else {**self._input, "cursor": cursor}
        return await self._collection._call(  # pyright: ignore[reportPrivateUsage]
            self._operation, input, self._result
        )

    async def pages(self) -> AsyncIterator[Page[T]]:
        """All pages."""
        page = await self.page()
        yield page
        while page.next_cursor is not None:
            page = await self.page(page.next_cursor)
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item
