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

import msgspec
from msgspec import Struct

from ._calls import Actor, Scope, actor_of, decode, reacting_to
from ._client import EncryptionKey, Location, ManualClock, RunReport, open_engine, results, transaction
from ._copying import CopyReport, Listener, report_of
from ._copying import start as start_copy
from ._events import Pattern, decode_events, durable_options, explain, live_options, log
from ._generated.aio import ProjectCollections, SystemCollections
from ._generated.types import ClaimedJob, ProjectId, SagaDefinition
from ._jobs import STOP, Seconds, decode_job, done, failed, id_of, job_options
from ._native import Engine, EngineError
from ._process import settle
from ._wire import Command, Event
from .errors import ErrorBody, wire_error

if TYPE_CHECKING:
    from ._native import Settled

E = TypeVar("E", bound=Struct)
Handler = Callable[[Event[Any]], Any]
"""A function or a coroutine function."""
JobHandler = Callable[[ClaimedJob], Any]
"""A function or a coroutine function."""


class Subscription:
    """A running callback or handler."""

    def __init__(self, engine: AsyncEngine, token: int) -> None:
        self._engine = engine
        self._token = token

    def cancel(self) -> None:
        """Ends it. A durable one keeps its place in the log and goes on when it is subscribed again; a handler takes no more
        jobs and finishes those that it has."""
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
        self._workers: dict[int, JobHandler] = {}
        self._jobs: dict[tuple[int, str], asyncio.Task[None]] = {}
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

    def handle(self, options: bytes, handler: JobHandler) -> Subscription:
        """Starts a handler; each of its jobs gets a task."""
        if not callable(handler):
            raise TypeError("the handler is no function")
        token = next(self._tokens)
        self._workers[token] = handler
        try:
            self._native.subscribe(token, options)
        except EngineError as error:
            del self._workers[token]
            raise wire_error(error) from None
        return Subscription(self, token)

    def unsubscribe(self, token: int) -> None:
        """Ends a subscription and its task; a handler finishes the jobs that it has."""
        if self._workers.pop(token, None) is not None:
            self._native.cancel(token)
            return
        self._queues.pop(token, None)
        task = self._tasks.pop(token, None)
        if task is not None:
            self._native.cancel(token)
            task.cancel()

    async def idle(self) -> bool:
        """Waits until the callbacks have handled what is here. Says whether anything was since the last time."""
        self._drain([])
        if self._is_inside():
            # Whoever runs the callback asks, too.
            return False
        queues = list(self._queues.values())
        await asyncio.gather(*(queue.join() for queue in queues))
        if self._jobs:
            await asyncio.wait(list(self._jobs.values()))
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
        for token in list(self._workers):
            self.unsubscribe(token)
        # A handler that closes does not wait for itself.
        if self._jobs and not self._is_inside():
            _, slow = await asyncio.wait(list(self._jobs.values()), timeout=STOP)
            for job in slow:
                job.cancel()
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
            elif kind == "job":
                self._queued = True
                self._begin(token, body)
            elif kind == "lost":
                task = self._jobs.get((token, body.decode()))
                if task is not None:
                    task.cancel()
            elif kind == "failed" and token in self._workers:
                log.error("handler %d: %s", token, ErrorBody.read(body))
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

    def _begin(self, token: int, body: bytes) -> None:
        handler = self._workers.get(token)
        if handler is None:
            self._report(token, id_of(body), None)
            return
        job = decode_job(body)
        key = (token, job.id)
        task = self._loop.create_task(self._work(token, handler, job), name=f"ventros-{token}-{job.id}")
        self._jobs[key] = task

        def ended(task: asyncio.Task[None]) -> None:
            del self._jobs[key]
            if task.cancelled():
                # Lost, or the loop ends: a job that is still ours is handed back.
                self._report(token, job.id, None)

        task.add_done_callback(ended)

    async def _work(self, token: int, handler: JobHandler, job: ClaimedJob) -> None:
        try:
            with reacting_to(job):
                if inspect.iscoroutinefunction(handler):
                    result = await handler(job)
                else:
                    result = await asyncio.to_thread(handler, job)
                    if inspect.isawaitable(result):
                        result = await result
            outcome = done(result)
        except Exception as error:
            outcome = failed(job, error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:
                raise
            # Something that the handler waited for was cancelled, not the handler.
            outcome = failed(job, error)
        self._report(token, job.id, outcome)

    def _report(self, token: int, job: str, outcome: bytes | None) -> None:
        try:
            self._native.report(token, job, outcome)
        except EngineError as error:
            # Closed meanwhile: the job comes again elsewhere.
            log.warning("the job %s could not be reported: %s", job, wire_error(error))

    def _is_inside(self) -> bool:
        """Whether a callback or handler asks: it must not wait for itself."""
        task = asyncio.current_task()
        return task in self._tasks.values() or task in self._jobs.values()


async def _run(handler: Handler, event: Event[Any]) -> None:
    with reacting_to(event):
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

    def handle(
        self,
        kind: str,
        handler: Callable[[ClaimedJob], Any],
        *,
        concurrency: int | None = None,
        timeout: Seconds | None = None,
    ) -> Subscription:
        """Awaits `handler` with each job of this kind (of all projects, which take turns), at least once.

        Returning ends the job with what is returned, at most 16 KiB of JSON. Raising `Permanent` gives it up, `RateLimited` puts it
        off, and anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the
        job stays its own, up to `timeout`; a process that dies loses it after 30 seconds. A
        handler whose job was lost or cancelled meanwhile is cancelled.

        Args:
            kind: `host.` and a name, as in `jobs.enqueue`.
            handler: A coroutine function, awaited in this loop, or a function, which is called on a thread. `job.idempotency_key` is the same at every try.
            concurrency: How many jobs at a time, 1 to 100; 4 unless told.
            timeout: How long a try may take, at most an hour; an hour unless told. Then it has failed.

        Raises:
            ValidationError: `job_kind_unknown`, `limit_out_of_range`.
        """
        return self._async.handle(job_options(None, kind, concurrency, timeout), handler)

    async def define_saga(self, definition: SagaDefinition) -> None:
        """Makes a kind of saga known to this process: from now on `sagas.start` takes it, and the background work here carries its sagas on.

        Every process that works on them defines the same. Sagas of a kind that a process does not know wait for one that does;
        those of a version that was taken out fail with `saga_migration_missing`.

        Raises:
            ValidationError: What is wrong with it, with the path of the field.
        """
        answer = await self._async.call("engine.define_saga", msgspec.json.encode(definition), b"{}")
        decode("engine.define_saga", answer, None)

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

    def caused_by(self, cause: Event[Any] | ClaimedJob) -> Project:
        """The same project, for what follows from an event or a job.

        What is recorded through it belongs to the same flow (`correlation_id`, seen by `events.trace`) and names the event
        (`causation_id`). Callbacks and handlers need it not: while one runs, the calls made in it (on its thread or in its task)
        are taken as following from the event or the job that it was called with.
        """
        return Project(self._async, self._scope.caused_by(cause))

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

    def handle(
        self,
        kind: str,
        handler: Callable[[ClaimedJob], Any],
        *,
        concurrency: int | None = None,
        timeout: Seconds | None = None,
    ) -> Subscription:
        """Awaits `handler` with each job of this kind (of this project), at least once.

        Returning ends the job with what is returned, at most 16 KiB of JSON. Raising `Permanent` gives it up, `RateLimited` puts it
        off, and anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the
        job stays its own, up to `timeout`; a process that dies loses it after 30 seconds. A
        handler whose job was lost or cancelled meanwhile is cancelled.

        Args:
            kind: `host.` and a name, as in `jobs.enqueue`.
            handler: A coroutine function, awaited in this loop, or a function, which is called on a thread. `job.idempotency_key` is the same at every try.
            concurrency: How many jobs at a time, 1 to 100; 4 unless told.
            timeout: How long a try may take, at most an hour; an hour unless told. Then it has failed.

        Raises:
            ValidationError: `job_kind_unknown`, `limit_out_of_range`.
        """
        return self._async.handle(job_options(self.id, kind, concurrency, timeout), handler)

    async def transact(self, commands: Iterable[Command[Any]], *, idempotency_key: str | None = None) -> list[Any]:
        """Runs several commands of `ventros.commands` in one commit: all or nothing. Returns their results in order."""
        return await _transact(self._async, self._scope, commands, idempotency_key)


async def _transact(
    engine: AsyncEngine, scope: Scope, commands: Iterable[Command[Any]], idempotency_key: str | None
) -> list[Any]:
    kinds, input = transaction(commands)
    return results(kinds, await engine.call("engine.transact", input, scope.context(idempotency_key, None)))
