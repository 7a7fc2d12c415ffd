"""Runs Python programs in processes of their own, so that what ends them ends no test run."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts a program."""
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 30) -> tuple[int, str, str]:
    """Its exit code and what it printed; one that hangs fails the test."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it hangs: {out} {err}")
    return process.returncode, out, err
