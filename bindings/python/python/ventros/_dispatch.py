"""Runs the host's callbacks for the blocking client, one at a time and outside of every call, and its jobs side by side.

The native side only rings. This layer drains and runs user code, on threads of its own or inside `run_pending`, so that
no runtime thread ever enters Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._calls import reacting_to
from ._events import decode_events, explain, log
from ._generated.types import ClaimedJob
from ._jobs import STOP, Crew, decode_job, done, failed, id_of
from ._native import Engine, EngineError
from ._process import settle
from ._wire import Event
from .errors import ErrorBody, wire_error

if TYPE_CHECKING:
    from ._native import Delivery, Settled

Handler = Callable[[Event[Any]], object]
JobHandler = Callable[[ClaimedJob], object]


class Subscription:
    """A running callback or handler."""

    def __init__(self, dispatcher: Dispatcher, token: int) -> None:
        self._dispatcher = dispatcher
        self._token = token

    def cancel(self) -> None:
        """Ends it. A durable one keeps its place in the log and goes on when it is subscribed again; a handler takes no more
        jobs and finishes those that it has."""
        self._dispatcher.remove(self._token)


class Dispatcher:
    """The callbacks of one engine and the thread that runs them."""

    def __init__(self, engine: Engine, background: bool) -> None:
        self._engine = engine
        self._background = background
        self._handlers: dict[int, Handler] = {}
        self._workers: dict[int, tuple[JobHandler, Crew]] = {}
        # Jobs under way on threads of their own, whether any has ended, and whether the present thread does one.
        self._busy = 0
        self._ended = False
        self._idle = threading.Condition()
        self._inside = threading.local()
        self._tokens = itertools.count(1)
        self._turn = threading.RLock()
        # Drained and not yet handled; guarded by the turn.
        self._taken: deque[Delivery] = deque()
        self._running: int | None = None
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        settle(self)

    def add(self, options: bytes, handler: Handler) -> Subscription:
        """Starts a subscription; its handler is known before its first event can come."""
        token = next(self._tokens)
        self._handlers[token] = handler
        try:
            self._engine.subscribe(token, options)
        except EngineError as error:
            del self._handlers[token]
            raise wire_error(error) from None
        if self._background:
            self._start()
        return Subscription(self, token)

    def add_jobs(self, options: bytes, handler: JobHandler) -> Subscription:
        """Starts a handler of jobs."""
        if not callable(handler):
            raise TypeError("the handler is no function")
        token = next(self._tokens)
        self._workers[token] = (handler, Crew(f"ventros-jobs-{token}"))
        try:
            self._engine.subscribe(token, options)
        except EngineError as error:
            del self._workers[token]
            raise wire_error(error) from None
        if self._background:
            self._start()
        return Subscription(self, token)

    def remove(self, token: int) -> None:
        """Ends a subscription or a handler; what runs now finishes."""
        worker = self._workers.pop(token, None)
        if worker is not None:
            worker[1].end()
        if worker is not None or self._handlers.pop(token, None) is not None:
            self._engine.cancel(token)

    def run(self, work: Callable[[], None]) -> None:
        """Alternates `work` and callbacks until no callback has anything left. Inside a callback it only works."""
        if self._running == threading.get_ident() or self._is_inside():
            work()
            return
        while True:
            with self._turn:
                work()
                while self._dispatch():
                    work()
            # Without the turn: jobs that come meanwhile start beside those that run.
            if not self._wait_for_jobs(None):
                return

    def close(self) -> None:
        """Ends the thread after the callback that it runs now, and the handlers after the jobs that they do."""
        if not self._closed:
            for token in list(self._workers):
                self.remove(token)
            # A handler that closes does not wait for itself.
            if not self._is_inside():
                self._wait_for_jobs(STOP)
        self._closed = True
        self._engine.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)

    def orphan(self) -> None:
        """In a child of a fork its thread does not exist, and every call says so."""
        self._turn = threading.RLock()
        # Drained and not yet handled; guarded by the turn.
        self._taken: deque[Delivery] = deque()
        self._starting = threading.Lock()
        self._idle = threading.Condition()
        self._busy = 0

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="ventros", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while self._engine.listen():
            with self._turn:
                self._dispatch()

    def _dispatch(self) -> bool:
        """Hands out everything that waits. Says whether there were events."""
        self._running = threading.get_ident()
        settled: list[Settled] = []
        anything = False
        try:
            while not self._closed:
                # Each answer is handed over once: by then the next delivery may be on its way.
                answers, settled = settled, []
                self._taken.extend(self._engine.drain(answers))
                if not self._taken:
                    break
                while self._taken:
                    delivery = self._taken.popleft()
                    # What has failed would fail again at once.
                    anything = anything or delivery[0] != "failed"
                    self._deliver(delivery, settled)
        except EngineError as error:
            log.error("ventros cannot deliver events: %s", wire_error(error))
        finally:
            self._running = None
            if settled:
                with contextlib.suppress(EngineError):
                    self._taken.extend(self._engine.drain(settled))
        return anything

    def _deliver(self, delivery: Delivery, settled: list[Settled]) -> None:
        kind, token, body = delivery
        handler = self._handlers.get(token)
        if kind == "failed":
            log.error("subscription %d: %s", token, ErrorBody.read(body))
        elif kind == "job":
            self._job(token, body)
        elif kind == "lost":
            log.warning(
                "the job %s is not this process's any more; what its handler gives counts for nothing", body.decode()
            )
        elif handler is None:
            pass
        elif kind == "live":
            self._live(token, handler, body, settled)
        else:
            self._durable(token, handler, body, settled)

    def _live(self, token: int, handler: Handler, body: bytes, settled: list[Settled]) -> None:
        try:
            for event in decode_events(body):
                try:
                    with reacting_to(event):
                        handler(event)
                except Exception:
                    log.exception("a callback failed on %s %d", event.type, event.seq)
        finally:
            settled.append((token, 0, None))

    def _durable(self, token: int, handler: Handler, body: bytes, settled: list[Settled]) -> None:
        done, reason = 0, None
        try:
            for event in decode_events(body):
                if self._closed:
                    break
                with reacting_to(event):
                    handler(event)
                done += 1
        except Exception as error:
            log.warning("a callback failed and will be tried again", exc_info=True)
            reason = explain(error)
        finally:
            settled.append((token, done, reason))

    def _job(self, token: int, body: bytes) -> None:
        worker = self._workers.get(token)
        if worker is None:
            self._report(token, id_of(body), None)
            return
        handler, crew = worker
        if not self._background:
            self._work(token, handler, body)
            return
        with self._idle:
            self._busy += 1

        def work() -> None:
            self._inside.job = True
            try:
                self._work(token, handler, body)
            finally:
                self._inside.job = False
                with self._idle:
                    self._busy -= 1
                    self._ended = True
                    self._idle.notify_all()

        crew.submit(work)

    def _work(self, token: int, handler: JobHandler, body: bytes) -> None:
        job = decode_job(body)
        try:
            with reacting_to(job):
                result = handler(job)
                if inspect.isawaitable(result):
                    result = asyncio.run(_awaited(result))
            outcome = done(result)
        except Exception as error:
            outcome = failed(job, error)
        except BaseException as error:
            # Ctrl-C and the like end whoever runs this; the job comes again.
            self._report(token, job.id, failed(job, error))
            raise
        self._report(token, job.id, outcome)

    def _report(self, token: int, job: str, outcome: bytes | None) -> None:
        try:
            self._engine.report(token, job, outcome)
        except EngineError as error:
            # Closed meanwhile: the job comes again elsewhere.
            log.warning("the job %s could not be reported: %s", job, wire_error(error))

    def _wait_for_jobs(self, patience: float | None) -> bool:
        """Waits until no job is under way. Says whether any has ended since the last time."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, patience)
            ended, self._ended = self._ended, False
            return ended

    def _is_inside(self) -> bool:
        return getattr(self._inside, "job", False)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
