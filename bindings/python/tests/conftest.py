"""What the tests share: an installation in memory whose clock and work are moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import ventros


@pytest.fixture
def clock() -> ventros.ManualClock:
    return ventros.ManualClock(datetime(2025, 1, 6, 9, 0, tzinfo=UTC))


@pytest.fixture
def crm(clock: ventros.ManualClock) -> Iterator[ventros.Crm]:
    with ventros.open(":memory:", clock=clock, background=False) as crm:
        yield crm


@pytest.fixture
def shop(crm: ventros.Crm) -> ventros.Project:
    return crm.project(crm.projects.create(name="Acme", default_region="BR").id)
