"""Moving a whole installation from one store to another."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from ._client import Location
from ._native import Copying, EngineError
from .errors import ErrorBody, wire_error


class CopyProgress(Struct, frozen=True, kw_only=True):
    """How far a copy is. Every phase counts all rows from 0."""

    phase: Literal["copying", "checking_source", "checking_target"]
    section: str
    """The part at hand, such as `events` or `contacts`."""
    section_done: int
    section_total: int
    done: int
    total: int


class CopiedSection(Struct, frozen=True, kw_only=True):
    """A part of an installation."""

    section: str
    rows: int


class CopyReport(Struct, frozen=True, kw_only=True):
    """What a copy did. The hashes are of what is stored, and were the same on both sides."""

    rows: int
    """Rows of the installation."""
    copied: int
    """Rows that this run has written; the others were there before."""
    log_hash: str
    """Of all events."""
    state_hash: str
    """Of all snapshots."""
    rest_hash: str
    """Of consumers, dead letters, jobs, idempotency keys, secrets, unique keys and log heads."""
    sections: list[CopiedSection]


Listener = Callable[[CopyProgress], object]


class News(Struct):
    """One of the three."""

    progress: CopyProgress | None = None
    ok: CopyReport | None = None
    error: ErrorBody | None = None


_decoder = msgspec.json.Decoder(News)


def start(source: Location, target: Location) -> Copying:
    """Begins a copy on a thread of the engine."""
    try:
        return Copying.start(os.fspath(source), os.fspath(target))
    except EngineError as error:
        raise wire_error(error) from None


def report_of(body: bytes, progress: Listener | None) -> CopyReport | None:
    """The report when the copy is done, else none; raises when it has failed."""
    news = _decoder.decode(body)
    if news.error is not None:
        raise news.error.exception()
    if news.progress is not None and progress is not None:
        progress(news.progress)
    return news.ok


def copy(source: Location, target: Location, *, progress: Listener | None = None) -> CopyReport:
    """Copies a whole installation into an empty store: from SQLite to PostgreSQL, back, or to another one of its kind.

    Close the source first: nobody may write to either side meanwhile. What was interrupted goes on with the next call; until
    then the target cannot be opened. In the end both sides are read and compared. Secrets stay sealed under the same
    encryption key.

    Args:
        source: Where the data lives; as for `open`, but not `:memory:`.
        target: Where it shall live. A file or a schema is created; one with data of its own is refused, unless it holds the
            very same installation.
        progress: Hears how far the copy is, on this thread. What it raises breaks the copy off.

    Raises:
        InvalidStateError: `target_not_empty`; `copy_unfinished` when the source is itself a copy that was interrupted.
        ConflictError: `source_changed`: somebody wrote to the source. Call again when nobody does.
        CorruptDataError: `copy_mismatch`: the target has not stored what it was given. Call again.
        UnavailableError: `unavailable`, `store_locked`.
    """
    copying = start(source, target)
    try:
        while True:
            report = report_of(copying.wait(), progress)
            if report is not None:
                return report
    finally:
        copying.cancel()
