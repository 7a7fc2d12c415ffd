"""The blocking client. Every call completes on the thread that makes it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar, overload

import msgspec
from msgspec import Struct

from ._calls import Actor, Scope, actor_of, decode
from ._decoders import build
from ._dispatch import Dispatcher, Subscription
from ._events import Pattern, durable_options, live_options
from ._generated.client import ProjectCollections, SystemCollections
from ._generated.types import ClaimedJob, ProjectId, SagaDefinition
from ._jobs import Seconds, job_options
from ._native import Engine, EngineError
from ._native import ManualClock as NativeClock
from ._wire import Command, Event, encode
from .errors import wire_error

E = TypeVar("E", bound=Struct)
S = TypeVar("S")

Location = str | os.PathLike[str]
"""Where the data lives: a path, a URL such as `sqlite:///crm.db` or `postgresql://user@host/database`, or `:memory:`."""

EncryptionKey = bytes | str
"""32 random bytes, or the same in base64."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ManualClock:
    """A clock that stands still until it is told to move, for tests."""

    def __init__(self, now: datetime) -> None:
        self.native = NativeClock((now - _EPOCH) // _MICROSECOND)

    def now(self) -> datetime:
        """The instant it shows."""
        return _EPOCH + timedelta(microseconds=self.native.now())

    def advance(self, by: timedelta | float) -> None:
        """Moves it, by a duration or by seconds."""
        by = by if isinstance(by, timedelta) else timedelta(seconds=by)
        self.native.advance(by // _MICROSECOND)


class RunReport(Struct, frozen=True):
    """What `run_pending` did."""

    jobs: int = 0
    """Jobs and timers that were run."""
    reactions: int = 0
    """Events that reactions were run for."""
    failures: int = 0
    """Runs that failed and will be tried again, or were given up on."""
    delivered: int = 0
    """Events and jobs handed to callbacks and handlers."""

    def __add__(self, other: RunReport) -> RunReport:
        return RunReport(
            self.jobs + other.jobs,
            self.reactions + other.reactions,
            self.failures + other.failures,
            self.delivered + other.delivered,
        )


def open_engine(
    location: Location,
    clock: ManualClock | None,
    background: bool,
    encryption_key: EncryptionKey | None,
    old_encryption_keys: Sequence[EncryptionKey],
    seed: int | None,
    http: bool,
    private_hosts: Sequence[str],
    allow_http: bool,
) -> Engine:
    """Opens the engine, or raises."""
    native = None if clock is None else clock.native
    options: dict[str, Any] = {"background": background, "seed": seed, "http": http, "allow_http": allow_http}
    options["private_hosts"] = list(private_hosts)
    if encryption_key is not None:
        options["encryption_key"] = _key_text(encryption_key)
    if old_encryption_keys:
        options["old_encryption_keys"] = [_key_text(key) for key in old_encryption_keys]
    try:
        return Engine.open(os.fspath(location), encode(options), native)
    except EngineError as error:
        raise wire_error(error) from None


def _key_text(key: EncryptionKey) -> str:
    return key if isinstance(key, str) else base64.b64encode(key).decode()


def transaction(commands: Iterable[Command[Any]]) -> tuple[list[Any], bytes]:
    """The types of the results, and the commands as the engine reads them."""
    listed = list(commands)
    calls = [{"operation": c.operation, "input": msgspec.Raw(encode(c.input))} for c in listed]
    return [c.result for c in listed], encode({"commands": calls})


_results: dict[Any, msgspec.json.Decoder[Any]] = {}


def results(kinds: Sequence[Any], answer: bytes) -> list[Any]:
    """What each command of a transaction returned."""
    parts: list[msgspec.Raw] = decode("engine.transact", answer, list[msgspec.Raw])
    decoders = [_results.get(kind) or build(_results, kind, kind) for kind in kinds]
    return [decoder.decode(part) for decoder, part in zip(decoders, parts, strict=True)]


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
) -> Crm:
    """Opens a CRM, creating its store if there is none.

    Args:
        location: A path, a URL such as `sqlite:///crm.db` or `postgresql://user@host/database`, or `:memory:`.
        clock: A clock for tests; the system's without it.
        background: Whether reactions, timers and callbacks run by themselves. Otherwise call `run_pending`.
        actor: Who calls by default; without it the host itself, which may do everything.
        encryption_key: Seals secrets such as the API key of a channel: 32 random bytes, or the same in base64. Keep it
            apart from the store; without it nothing that needs a secret can be kept.
        old_encryption_keys: Keys that were in use before: what is still sealed under them opens, until
            `credentials.rotate_keys` has sealed everything under `encryption_key`.
        seed: For tests, beside a manual clock: ids and secrets depend on it alone, so that the same calls give the same
            results. Whoever knows it can guess every secret.
        http: Whether calls to the outside are made, such as those of webhooks. Otherwise they wait.
        private_hosts: Hosts outside the public net that may be called although somebody else named them, such as
            `n8n.internal` or `10.0.0.5:5678`.
        allow_http: Allows addresses without TLS, for development.

    Raises:
        ValidationError: `key_length_invalid`, `input_invalid` or `url_invalid`, of the key, the seed or a private host.
    """
    engine = open_engine(
        location, clock, background, encryption_key, old_encryption_keys, seed, http, private_hosts, allow_http
    )
    return Crm(engine, background, actor)


class Crm(SystemCollections):
    """An open CRM. Close it, or use it in a `with` block."""

    def __init__(self, engine: Engine, background: bool, actor: Actor | None) -> None:
        super().__init__(engine, Scope(actor=actor_of(actor)))
        self._native = engine
        self._dispatcher = Dispatcher(engine, background)

    def project(self, id: ProjectId, *, actor: Actor | None = None) -> Project:
        """The project as `actor` sees it; without one as this handle's actor does."""
        scope = Scope(project_id=id, actor=self._scope.actor if actor is None else actor_of(actor))
        return Project(self._native, scope, self._dispatcher)

    def handle(
        self,
        kind: str,
        handler: Callable[[ClaimedJob], object],
        *,
        concurrency: int | None = None,
        timeout: Seconds | None = None,
    ) -> Subscription:
        """Calls `handler` with each job of this kind (of all projects, which take turns), at least once.

        Returning ends the job with what is returned, at most 16 KiB of JSON. Raising `Permanent` gives it up, `RateLimited` puts it
        off, and anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the
        job stays its own, up to `timeout`; a process that dies loses it after 30 seconds. What a
        handler gives for a job that was lost or cancelled meanwhile counts for nothing.

        Args:
            kind: `host.` and a name, as in `jobs.enqueue`.
            handler: Runs on threads of its own, so many as `concurrency` says; inside of `run_pending` where nothing runs in the
                background. A coroutine function gets a loop for each job. `job.idempotency_key` is the same at every try.
            concurrency: How many jobs at a time, 1 to 100; 4 unless told.
            timeout: How long a try may take, at most an hour; an hour unless told. Then it has failed.

        Raises:
            ValidationError: `job_kind_unknown`, `limit_out_of_range`.
        """
        return self._dispatcher.add_jobs(job_options(None, kind, concurrency, timeout), handler)

    def define_saga(self, definition: SagaDefinition) -> None:
        """Makes a kind of saga known to this process: from now on `sagas.start` takes it, and the background work here carries its sagas on.

        Every process that works on them defines the same. Sagas of a kind that a process does not know wait for one that does;
        those of a version that was taken out fail with `saga_migration_missing`.

        Raises:
            ValidationError: What is wrong with it, with the path of the field.
        """
        answer = self._native.call("engine.define_saga", msgspec.json.encode(definition), b"{}")
        decode("engine.define_saga", answer, None)

    def run_pending(self) -> RunReport:
        """Does all work that is due: reactions, timers, jobs and callbacks. Returns when nothing is left."""
        total = RunReport()

        def work() -> None:
            nonlocal total
            answer = self._native.call("engine.run_pending", b"{}", b"{}")
            report: RunReport = decode("engine.run_pending", answer, RunReport)
            total += report

        self._dispatcher.run(work)
        return total

    def transact(self, commands: Iterable[Command[Any]], *, idempotency_key: str | None = None) -> list[Any]:
        """Runs several commands of `ventros.commands` in one commit: all or nothing. Returns their results in order."""
        return _transact(self._native, self._scope, commands, idempotency_key)

    def close(self) -> None:
        """Ends callbacks and background work and closes the store. Closing twice is fine."""
        self._dispatcher.close()

    def __enter__(self) -> Crm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Project(ProjectCollections):
    """One project of an open CRM, as one actor sees it."""

    def __init__(self, engine: Engine, scope: Scope, dispatcher: Dispatcher) -> None:
        super().__init__(engine, scope)
        self._native = engine
        self._dispatcher = dispatcher

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
        return Project(self._native, self._scope.caused_by(cause), self._dispatcher)

    @overload
    def on(self, events: type[E], handler: Callable[[Event[E]], object]) -> Subscription: ...
    @overload
    def on(self, events: Pattern | Sequence[Pattern], handler: Callable[[Event[Any]], object]) -> Subscription: ...
    def on(self, events: Any, handler: Callable[[Event[Any]], object]) -> Subscription:
        """Calls `handler` with what happens from now on, as long as this process lives.

        Args:
            events: A type (`contact.created`), a prefix (`contact.*`), `*`, a class of `ventros.events`, or several.
            handler: Runs outside of every call. What it raises is logged.
        """
        return self._dispatcher.add(live_options(self._scope.project_id, events), handler)

    @overload
    def subscribe(
        self,
        name: str,
        handler: Callable[[Event[E]], object],
        events: type[E],
        start: str | int = "start",
        *,
        max_attempts: int | None = None,
    ) -> Subscription: ...
    @overload
    def subscribe(
        self,
        name: str,
        handler: Callable[[Event[Any]], object],
        events: Pattern | Sequence[Pattern] = "*",
        start: str | int = "start",
        *,
        max_attempts: int | None = None,
    ) -> Subscription: ...
    def subscribe(
        self,
        name: str,
        handler: Callable[[Event[Any]], object],
        events: Any = "*",
        start: str | int = "start",
        *,
        max_attempts: int | None = None,
    ) -> Subscription:
        """Calls `handler` with every event at least once, in order, also with those recorded while nobody listened.

        Args:
            name: Names the place in the log; the same name goes on where it stopped.
            handler: Returning acknowledges. Raising tries again later, and gives the event up as a dead letter in the end.
            events: A type (`contact.created`), a prefix (`contact.*`), `*`, a class of `ventros.events`, or several.
            start: Where a new name begins: `start`, `now`, or after an event's `seq`.
            max_attempts: How often an event is tried.
        """
        options = durable_options(self.id, name, events, start, max_attempts)
        return self._dispatcher.add(options, handler)

    def handle(
        self,
        kind: str,
        handler: Callable[[ClaimedJob], object],
        *,
        concurrency: int | None = None,
        timeout: Seconds | None = None,
    ) -> Subscription:
        """Calls `handler` with each job of this kind (of this project), at least once.

        Returning ends the job with what is returned, at most 16 KiB of JSON. Raising `Permanent` gives it up, `RateLimited` puts it
        off, and anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the
        job stays its own, up to `timeout`; a process that dies loses it after 30 seconds. What a
        handler gives for a job that was lost or cancelled meanwhile counts for nothing.

        Args:
            kind: `host.` and a name, as in `jobs.enqueue`.
            handler: Runs on threads of its own, so many as `concurrency` says; inside of `run_pending` where nothing runs in the
                background. A coroutine function gets a loop for each job. `job.idempotency_key` is the same at every try.
            concurrency: How many jobs at a time, 1 to 100; 4 unless told.
            timeout: How long a try may take, at most an hour; an hour unless told. Then it has failed.

        Raises:
            ValidationError: `job_kind_unknown`, `limit_out_of_range`.
        """
        return self._dispatcher.add_jobs(job_options(self.id, kind, concurrency, timeout), handler)

    def transact(self, commands: Iterable[Command[Any]], *, idempotency_key: str | None = None) -> list[Any]:
        """Runs several commands of `ventros.commands` in one commit: all or nothing. Returns their results in order."""
        return _transact(self._native, self._scope, commands, idempotency_key)


def _transact(engine: Engine, scope: Scope, commands: Iterable[Command[Any]], idempotency_key: str | None) -> list[Any]:
    kinds, input = transaction(commands)
    return results(kinds, engine.call("engine.transact", input, scope.context(idempotency_key, None)))
