"""Moving an installation: from a file to another store and back, with interruptions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import ventros

pytestmark = pytest.mark.both_stores


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file in which something has happened."""
    path = tmp_path / "source.db"
    with ventros.open(path, background=False) as crm:
        for number in range(4):
            shop = crm.project(crm.projects.create(name=f"Shop {number}", default_region="BR").id)
            contacts = [
                ventros.commands.contacts.create(name="Ana", phone=f"+55119{90_000_000 + n}", tags=["vip"])
                for n in range(500)
            ]
            shop.transact(contacts)
    return path


def names(location: str | Path) -> list[tuple[str, str | None]]:
    with ventros.open(location, background=False) as crm:
        return [
            (contact.id, contact.phone)
            for project in crm.projects.list()
            for contact in crm.project(project.id).contacts.list(limit=100)
        ]


def test_everything_moves_there_and_back(source: Path, lasting: str, tmp_path: Path) -> None:
    heard: list[ventros.CopyProgress] = []
    there = ventros.copy(source, lasting, progress=heard.append)
    assert there.copied == there.rows > 4_000
    assert {part.section: part.rows for part in there.sections}["contacts"] == 2_000
    assert {progress.phase for progress in heard} <= {"copying", "checking_source", "checking_target"}
    assert heard
    assert all(0 <= progress.done <= progress.total == there.rows for progress in heard)
    back = ventros.copy(lasting, tmp_path / "back.db")
    assert (back.log_hash, back.state_hash, back.rest_hash) == (there.log_hash, there.state_hash, there.rest_hash)
    assert names(source) == names(lasting) == names(tmp_path / "back.db")


def test_a_second_copy_has_nothing_to_do(source: Path, lasting: str) -> None:
    first = ventros.copy(source, lasting)
    second = ventros.copy(source, lasting)
    assert (second.copied, second.log_hash) == (0, first.log_hash)
    with ventros.open(lasting, background=False) as crm:
        crm.projects.create(name="Another one")
    with pytest.raises(ventros.InvalidStateError) as caught:
        ventros.copy(source, lasting)
    assert (caught.value.code, caught.value.field) == ("target_not_empty", "target")


def test_what_was_broken_off_is_no_store_until_it_is_whole(source: Path, lasting: str, tmp_path: Path) -> None:
    def stop(progress: ventros.CopyProgress) -> None:
        raise KeyError(progress.section)

    with pytest.raises(KeyError):
        ventros.copy(source, lasting, progress=stop)
    with pytest.raises(ventros.InvalidStateError) as caught:
        ventros.open(lasting, background=False)
    assert caught.value.code == "copy_unfinished"
    with pytest.raises(ventros.InvalidStateError) as caught:
        ventros.copy(lasting, tmp_path / "third.db")
    assert (caught.value.code, caught.value.field) == ("copy_unfinished", "source")
    ventros.copy(source, lasting)
    assert names(source) == names(lasting)


def test_a_source_must_be_there(lasting: str, tmp_path: Path) -> None:
    with pytest.raises(ventros.UnavailableError) as caught:
        ventros.copy(tmp_path / "nowhere.db", lasting)
    assert caught.value.field == "source"
    assert not (tmp_path / "nowhere.db").exists()
    for places in [(":memory:", lasting), (lasting, ":memory:")]:
        with pytest.raises(ventros.ValidationError) as refused:
            ventros.copy(*places)
        assert refused.value.code == "input_invalid"


def test_asyncio_copies_too(source: Path, lasting: str) -> None:
    heard: list[ventros.CopyProgress] = []
    report = asyncio.run(ventros.aio.copy(source, lasting, progress=heard.append))
    assert report.copied == report.rows
    assert heard
    assert names(source) == names(lasting)


def test_a_cancelled_task_breaks_the_copy_off(source: Path, lasting: str) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(ventros.aio.copy(source, lasting))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ventros.copy(source, lasting).rows > 4_000
    assert names(source) == names(lasting)
