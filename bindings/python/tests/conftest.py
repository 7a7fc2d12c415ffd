"""What the tests share: an installation whose clock and work are moved by hand, and the stores that it may be on.

A module marked `both_stores` runs its tests on SQLite and on PostgreSQL; the others on SQLite in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers import Server

import ventros


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_marked = metafunc.definition.get_closest_marker("both_stores") is not None
    if is_marked and "server" in metafunc.fixturenames:
        metafunc.parametrize("server", ["sqlite", "postgres"], indirect=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server | None:
    """The server of the store, where it has one."""
    return request.getfixturevalue("cluster") if getattr(request, "param", "sqlite") == "postgres" else None


@pytest.fixture
def location(server: Server | None) -> str:
    """A store that nobody else has."""
    return ":memory:" if server is None else server.fresh()


@pytest.fixture
def lasting(server: Server | None, tmp_path: Path) -> str:
    """The same, which others may open too."""
    return str(tmp_path / "crm.db") if server is None else server.fresh()


@pytest.fixture
def clock() -> ventros.ManualClock:
    return ventros.ManualClock(datetime(2025, 1, 6, 9, 0, tzinfo=UTC))


@pytest.fixture
def crm(location: str, clock: ventros.ManualClock) -> Iterator[ventros.Crm]:
    with ventros.open(location, clock=clock, background=False) as crm:
        yield crm


@pytest.fixture
def shop(crm: ventros.Crm) -> ventros.Project:
    return crm.project(crm.projects.create(name="Acme", default_region="BR").id)
