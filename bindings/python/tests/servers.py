"""A private PostgreSQL for one test run, as the tests of all languages start it."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

SERVE = Path(__file__).parents[3] / "storage-postgres" / "tests" / "cluster" / "serve.sh"

_numbers = itertools.count()


class Server:
    """Runs until it is closed, or this process ends. One of its own may be stopped, whatever `VENTROS_TEST_POSTGRES` says."""

    def __init__(self, *, own: bool = False) -> None:
        environment = {**os.environ, "VENTROS_TEST_POSTGRES": ""} if own else None
        self._script = subprocess.Popen(
            [str(SERVE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._address = self._line()

    def fresh(self) -> str:
        """The address of a store that nobody else has."""
        mark = "&" if "?" in self._address else "?"
        return f"{self._address}{mark}schema=py{os.getpid()}_{next(_numbers)}"

    def stop(self) -> None:
        """Ends it as the loss of its process would."""
        self._tell("stop")

    def start(self) -> None:
        """Starts it again."""
        self._tell("start")

    def close(self) -> None:
        """Leaves nothing of it, in a moment: nobody waits for that."""
        assert self._script.stdin is not None
        self._script.stdin.close()

    def _tell(self, word: str) -> None:
        assert self._script.stdin is not None
        print(word, file=self._script.stdin, flush=True)
        assert self._line() == word

    def _line(self) -> str:
        assert self._script.stdout is not None
        line = self._script.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"no PostgreSQL: {SERVE} says why")
        return line
