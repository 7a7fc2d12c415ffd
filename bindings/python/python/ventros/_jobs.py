"""What handlers of jobs share, blocking or not: what they are asked for, and what becomes of a job."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import msgspec

from ._decoders import build
from ._events import explain, log
from ._generated.types import ClaimedJob
from ._wire import encode

Seconds: TypeAlias = float | timedelta
"""A duration; a number is seconds."""

STOP = 30.0
"""How long `close` waits for handlers that run, in seconds."""


class Retry(Exception):
    """Raised by a handler: the job failed and may work later. Any other exception says the same.

    Args:
        reason: For people.
        after: When to try again; after 5 seconds, doubled with each try up to an hour, unless told.
    """

    after: int | None
    """In whole seconds."""

    def __init__(self, reason: str = "", *, after: Seconds | None = None) -> None:
        super().__init__(reason)
        self.after = None if after is None else whole_seconds(after)


class Permanent(Exception):
    """Raised by a handler: the job can never work. It is given up at once (`job.dead`)."""


class RateLimited(Exception):
    """Raised by a handler: whom it needs takes no more now. This does not count as a try.

    Args:
        reason: For people.
        after: When to try again: one second to a day.
    """

    after: int
    """In whole seconds."""

    def __init__(self, reason: str = "", *, after: Seconds) -> None:
        super().__init__(reason)
        self.after = whole_seconds(after)


def whole_seconds(duration: Seconds) -> int:
    """Whole seconds, and not less."""
    return math.ceil(duration.total_seconds() if isinstance(duration, timedelta) else duration)


def job_options(project_id: str | None, kind: str, concurrency: int | None, timeout: Seconds | None) -> bytes:
    """A handler, as the engine is asked for it."""
    given: dict[str, Any] = {"kind": "jobs", "project_id": project_id, "job_kind": kind}
    if concurrency is not None:
        given["concurrency"] = concurrency
    if timeout is not None:
        given["timeout_seconds"] = whole_seconds(timeout)
    return encode(given)


_decoders: dict[str, msgspec.json.Decoder[ClaimedJob]] = {}


def decode_job(body: bytes) -> ClaimedJob:
    """The job of a delivery."""
    decoder = _decoders.get("job") or build(_decoders, "job", ClaimedJob)
    return decoder.decode(body)


class _Id(msgspec.Struct):
    id: str


def id_of(body: bytes) -> str:
    """The id of a delivered job that nobody wants."""
    return msgspec.json.decode(body, type=_Id).id


def done(result: object) -> bytes:
    """The outcome of a handler that returned."""
    return msgspec.json.encode({"type": "done", "result": result})


def failed(job: ClaimedJob, error: BaseException) -> bytes:
    """The outcome of a handler that raised."""
    if isinstance(error, RateLimited):
        return msgspec.json.encode({"type": "rate_limited", "after_seconds": error.after})
    if isinstance(error, Permanent):
        log.warning("a handler gave up %s %s", job.kind, job.id, exc_info=error)
        return msgspec.json.encode({"type": "permanent", "error": str(error) or explain(error)})
    outcome: dict[str, Any] = {"type": "retry"}
    if isinstance(error, Retry):
        outcome["error"] = str(error) or None
        if error.after is not None:
            outcome["after_seconds"] = error.after
    else:
        log.warning("a handler failed on %s %s", job.kind, job.id, exc_info=error)
        outcome["error"] = explain(error)
    return msgspec.json.encode(outcome)


class Crew:
    """Threads for the jobs of one handler, started when they are needed. They keep no process alive."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Has `work` done at once. The engine bounds how much of it there is."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
            else:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        self._work.put(work)

    def end(self) -> None:
        """Ends the threads after the work that they have."""
        with self._lock:
            threads, self._threads = self._threads, 0
        for _ in range(threads):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                self._free += 1
