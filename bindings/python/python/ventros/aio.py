"""The client for asyncio. The same operations as the blocking one, awaited."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from msgspec import Struct

from ._calls import Actor, Scope, actor_of, decode
from ._client import EncryptionKey, Location, ManualClock, RunReport, open_engine, results, transaction
from ._copying import CopyReport, Listener, report_of
from ._copying import start as start_copy
from ._events import Pattern, decode_events, durable_options, explain, live_options, log
from ._generated.aio import ProjectCollections, SystemCollections
from ._generated.types import ProjectId
from ._native import Engine, EngineError
from ._process import settle
from ._wire import Command, Event
from .errors import ErrorBody, wire_error

if TYPE_CHECKING:
    from ._native import Settled

E = TypeVar("E", bound=Struct)
Handler = Callable[[Event[Any]], Any]
"""A function or a coroutine function."""


class Subscription:
    """A running callback."""

    def __init__(self, engine: AsyncEngine, token: int) -> None:
        self._engine = engine
        self._token = token

    def cancel(self) -> None:
        """Ends it. A durable one keeps its place in the log and goes on when it is subscribed again."""
        self._engine.unsubscribe(self._token)


class AsyncEngine:
    """Turns the doorbell of the native side into futures and tasks of one event loop."""

    def __init__(self, native: Engine) -> None:
        self._native = native
        self._loop = asyncio.get_running_loop()
        self._tokens = itertools.count(1)
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._queues: dict[int, asyncio.Queue[tuple[str, bytes]]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._queued = False
        self._thread = threading.Thread(target=self._listen, name="ventros", daemon=True)
        self._thread.start()
        settle(self)

    async def call(self, operation: str, input: bytes, context: bytes) -> bytes:
        """Runs an operation on the engine's own threads. Cancelling the task cancels the call."""
        token = next(self._tokens)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._calls[token] = answer
        try:
            self._native.submit(token, operation, input, context)
            return await answer
        except EngineError as error:
            raise wire_error(error) from None
        except asyncio.CancelledError:
            self._native.cancel(token)
            raise
        finally:
            del self._calls[token]

    def subscribe(self, options: bytes, handler: Handler) -> Subscription:
        """Starts a subscription with a task that runs its handler, one event after the other."""
        token = next(self._tokens)
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._queues[token] = queue
        try:
            self._native.subscribe(token, options)
        except EngineError as error:
            del self._queues[token]
            raise wire_error(error) from None
        self._tasks[token] = self._loop.create_task(self._serve(token, queue, handler), name=f"ventros-{token}")
        return Subscription(self, token)

    def unsubscribe(self, token: int) -> None:
        """Ends a subscription and its task."""
        self._queues.pop(token, None)
        task = self._tasks.pop(token, None)
        if task is not None:
            self._native.cancel(token)
            task.cancel()

    async def idle(self) -> bool:
        """Waits until the callbacks have handled what is here. Says whether anything was since the last time."""
        self._drain([])
        if asyncio.current_task() not in self._tasks.values():
            queues = list(self._queues.values())
            await asyncio.gather(*(queue.join() for queue in queues))
        queued, self._queued = self._queued, False
        return queued

    def close(self) -> None:
        """Ends everything; calls that wait fail with `closed`."""
        self._native.close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def orphan(self) -> None:
        """In a child of a fork every call says so; it has no locks of its own."""

    async def aclose(self) -> None:
        """As `close`, without blocking the loop, and after the tasks have ended."""
        tasks = [task for task in self._tasks.values() if task is not asyncio.current_task()]
        for token in list(self._tasks):
            if self._tasks[token] in tasks:
                self.unsubscribe(token)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self.close)
        self._drain([])

    def _listen(self) -> None:
        # The loop may be closed before the engine: then nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            while self._native.listen():
                self._loop.call_soon_threadsafe(self._rung)

    def _rung(self) -> None:
        self._drain([])

    def _drain(self, settled: list[Settled]) -> None:
        for kind, token, body in self._native.drain(settled):
            if kind == "completed":
                answer = self._calls.get(token)
                if answer is not None and not answer.done():
                    answer.set_result(body)
            elif (queue := self._queues.get(token)) is not None:
                # What has failed would fail again at once.
                self._queued = self._queued or kind != "failed"
                queue.put_nowait((kind, body))

    async def _serve(self, token: int, queue: asyncio.Queue[tuple[str, bytes]], handler: Handler) -> None:
        while True:
            kind, body = await queue.get()
            try:
                if kind == "failed":
                    log.error("subscription %d: %s", token, ErrorBody.read(body))
                elif kind == "live":
                    await self._live(token, handler, body)
                else:
                    await self._durable(token, handler, body)
            finally:
                queue.task_done()

    async def _live(self, token: int, handler: Handler, body: bytes) -> None:
        for event in decode_events(body):
            try:
                await _run(handler, event)
            except Exception:
                log.exception("a callback failed on %s %d", event.type, event.seq)
        self._drain([(token, 0, None)])

    async def _durable(self, token: int, handler: Handler, body: bytes) -> None:
        done, reason = 0, None
        try:
            for event in decode_events(body):
                await _run(handler, event)
                done += 1
        except Exception as error:
            log.warning("a callback failed and will be tried again", exc_info=True)
            reason = explain(error)
        finally:
            self._drain([(token, done, reason)])


async def _run(handler: Handler, event: Event[Any]) -> None:
    result = handler(event)
    if inspect.isawaitable(result):
        await result


def open(
    location: Location,
    *,
    clock: ManualClock | None = None,
    background: bool = True,
    actor: Actor | None = None,
    encryption_key: EncryptionKey | None = None,
    old_encryption_keys: Sequence[EncryptionKey] = (),
    seed: int | None = None,
    http: bool = True,
    private_hosts: Sequence[str] = (),
    allow_http: bool = False,
) -> Opening:
    """Opens a CRM for the running event loop: `crm = await open(...)` or `async with open(...) as crm`.

    Takes what `ventros.open` takes.
    """
    return Opening(
        location, clock, background, actor, encryption_key, old_encryption_keys, seed, http, private_hosts, allow_http
    )


async def copy(source: Location, target: Location, *, progress: Listener | None = None) -> CopyReport:
    """Copies a whole installation into an empty store, as `ventros.copy` does.

    Cancelling the task breaks the copy off; it goes on with the next one.

    Args:
        source: Where the data lives; as for `open`, but not `:memory:`.
        target: Where it shall live; an empty store, or none yet.
        progress: Hears how far the copy is, in the event loop. What it raises breaks the copy off.

    Raises:
        InvalidStateError: `target_not_empty`; `copy_unfinished` when the source is itself a copy that was interrupted.
        ConflictError: `source_changed`: somebody wrote to the source. Call again when nobody does.
        CorruptDataError: `copy_mismatch`: the target has not stored what it was given. Call again.
        UnavailableError: `unavailable`, `store_locked`.
    """
    copying = start_copy(source, target)
    try:
        while True:
            report = report_of(await asyncio.to_thread(copying.wait), progress)
            if report is not None:
                return report
    finally:
        await asyncio.shield(asyncio.to_thread(copying.cancel))


class Opening:
    """A CRM about to be opened."""

    def __init__(
        self,
        location: Location,
        clock: ManualClock | None,
        background: bool,
        actor: Actor | None,
        encryption_key: EncryptionKey | None,
        old_encryption_keys: Sequence[EncryptionKey],
        seed: int | None,
        http: bool,
        private_hosts: Sequence[str],
        allow_http: bool,
    ) -> None:
        self._arguments = (
            location,
            clock,
            background,
            encryption_key,
            old_encryption_keys,
            seed,
            http,
            tuple(private_hosts),
            allow_http,
        )
        self._actor = actor
        self._crm: Crm | None = None

    def __await__(self) -> Generator[Any, None, Crm]:
        return self._open().__await__()

    async def _open(self) -> Crm:
        native = await asyncio.to_thread(open_engine, *self._arguments)
        return Crm(AsyncEngine(native), self._actor)

    async def __aenter__(self) -> Crm:
        self._crm = await self._open()
        return self._crm

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._crm is not None:
            await self._crm.close()


class Crm(SystemCollections):
    """An open CRM. Close it, or use it in an `async with` block."""

    def __init__(self, engine: AsyncEngine, actor: Actor | None) -> None:
        super().__init__(engine, Scope(actor=actor_of(actor)))
        self._async = engine

    def project(self, id: ProjectId, *, actor: Actor | None = None) -> Project:
        """The project as `actor` sees it; without one as this handle's actor does."""
        scope = Scope(project_id=id, actor=self._scope.actor if actor is None else actor_of(actor))
        return Project(self._async, scope)

    async def run_pending(self) -> RunReport:
        """Does all work that is due: reactions, timers, jobs and callbacks. Returns when nothing is left."""
        total = RunReport()
        while True:
            answer = await self._async.call("engine.run_pending", b"{}", b"{}")
            report: RunReport = decode("engine.run_pending", answer, RunReport)
            total += report
            if not await self._async.idle():
                return total

    async def transact(self, commands: Iterable[Command[Any]], *, idempotency_key: str | None = None) -> list[Any]:
        """Runs several commands of `ventros.commands` in one commit: all or nothing. Returns their results in order."""
        return await _transact(self._async, self._scope, commands, idempotency_key)

    async def close(self) -> None:
        """Ends callbacks and background work and closes the store. Closing twice is fine."""
        await self._async.aclose()

    async def __aenter__(self) -> Crm:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Project(ProjectCollections):
    """One project of an open CRM, as one actor sees it."""

    def __init__(self, engine: AsyncEngine, scope: Scope) -> None:
        super().__init__(engine, scope)
        self._async = engine

    @property
    def id(self) -> ProjectId:
        """The project's id."""
        return ProjectId(self._scope.project_id or "")

    @overload
    def on(self, events: type[E], handler: Callable[[Event[E]], Any]) -> Subscription: ...
    @overload
    def on(self, events: Pattern | Sequence[Pattern], handler: Handler) -> Subscription: ...
    def on(self, events: Any, handler: Handler) -> Subscription:
        """Calls or awaits `handler` with what happens from now on, as long as this process lives.

        Args:
            events: A type (`contact.created`), a prefix (`contact.*`), `*`, a class of `ventros.events`, or several.
            handler: A function or a coroutine function. What it raises is logged.
        """
        return self._async.subscribe(live_options(self._scope.project_id, events), handler)

    @overload
    def subscribe(
        self,
        name: str,
        handler: Callable[[Event[E]], Any],
        events: type[E],
        start: str | int = "start",
        *,
        max_attempts: int | None = None,
    ) -> Subscription: ...
    @overload
    def subscribe(
        self,
        name: str,
        handler: Handler,
        events: Pattern | Sequence[Pattern] = "*",
        start: str | int = "start",
        *,
        max_attempts: int | None = None,
    ) -> Subscription: ...
    def subscribe(
        self,
        name: str,
        handler: Handler,
        events: Any = "*",
        start: str | int = "start",
        *,
        max_attempts: int | None = None,
    ) -> Subscription:
        """Calls or awaits `handler` with every event at least once, in order, also with those recorded meanwhile.

        Args:
            name: Names the place in the log; the same name goes on where it stopped.
            handler: Returning acknowledges. Raising tries again later, and gives the event up as a dead letter in the end.
            events: A type (`contact.created`), a prefix (`contact.*`), `*`, a class of `ventros.events`, or several.
            start: Where a new name begins: `start`, `now`, or after an event's `seq`.
            max_attempts: How often an event is tried.
        """
        options = durable_options(self.id, name, events, start, max_attempts)
        return self._async.subscribe(options, handler)

    async def transact(self, commands: Iterable[Command[Any]], *, idempotency_key: str | None = None) -> list[Any]:
        """Runs several commands of `ventros.commands` in one commit: all or nothing. Returns their results in order."""
        return await _transact(self._async, self._scope, commands, idempotency_key)


async def _transact(
    engine: AsyncEngine, scope: Scope, commands: Iterable[Command[Any]], idempotency_key: str | None
) -> list[Any]:
    kinds, input = transaction(commands)
    return results(kinds, await engine.call("engine.transact", input, scope.context(idempotency_key, None)))
