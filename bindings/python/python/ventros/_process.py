"""What an open engine owes its process: to end before the interpreter does, and to let it fork."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from ._decoders import building
from ._native import after_fork, before_fork


class Resident(Protocol):
    """Something with threads in the engine."""

    def close(self) -> None:
        """Ends them."""
        ...

    def orphan(self) -> None:
        """In a child of a fork, where they do not exist: replaces the locks that they may have held."""
        ...


_residents: weakref.WeakSet[Resident] = weakref.WeakSet()


def settle(resident: Resident) -> None:
    """Closes `resident` before the interpreter ends, if it still exists then, and tells it of a fork."""
    _residents.add(resident)


def _close_all() -> None:
    for resident in list(_residents):
        resident.close()


def _before() -> None:
    building.acquire()
    before_fork()


def _after_in_parent() -> None:
    after_fork(False)
    building.release()


def _after_in_child() -> None:
    after_fork(True)
    building.release()
    for resident in list(_residents):
        resident.orphan()


# Before the interpreter takes its threads apart: ours must not come back from the engine into a dying interpreter.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
