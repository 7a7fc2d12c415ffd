"""The same under asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

import ventros
from ventros.events import ContactCreated
from ventros.types import ClaimedJob

pytestmark = pytest.mark.both_stores


@pytest_asyncio.fixture
async def crm(location: str, clock: ventros.ManualClock) -> AsyncIterator[ventros.aio.Crm]:
    async with ventros.aio.open(location, clock=clock, background=False) as crm:
        yield crm


@pytest_asyncio.fixture
async def shop(crm: ventros.aio.Crm) -> ventros.aio.Project:
    return crm.project((await crm.projects.create(name="Acme", default_region="BR")).id)


async def test_calls_and_pages(shop: ventros.aio.Project) -> None:
    for number in range(25):
        await shop.contacts.create(name=f"Contact {number:02}")
    names = [contact.name async for contact in shop.contacts.list(sort=["name"], limit=10)]
    assert len(names) == 25
    assert (await shop.contacts.list(sort=["name"], limit=10).page()).has_more
    with pytest.raises(ventros.ValidationError) as caught:
        await shop.contacts.create(name="Ana", email="not an address")
    assert caught.value.field == "email"


async def test_many_calls_at_once(shop: ventros.aio.Project) -> None:
    made = await asyncio.gather(*(shop.contacts.create(name=str(number)) for number in range(100)))
    assert len({contact.id for contact in made}) == 100


async def test_a_transaction(shop: ventros.aio.Project) -> None:
    contact = await shop.contacts.create(name="Ana")
    [tagged] = await shop.transact([ventros.commands.contacts.add_tag(contact.id, tag="vip")])
    assert tagged.tags == ["vip"]


async def test_callbacks_may_be_coroutines_and_may_call(crm: ventros.aio.Crm, shop: ventros.aio.Project) -> None:
    seen: list[str | None] = []

    async def tag(event: ventros.Event[ContactCreated]) -> None:
        await shop.contacts.add_tag(ventros.types.ContactId(event.aggregate_id), tag="seen")
        seen.append(event.data.name)

    shop.subscribe("tagger", tag, ContactCreated)
    shop.on(ContactCreated, lambda event: seen.append("live"))
    contact = await shop.contacts.create(name="Ana")
    await crm.run_pending()
    assert sorted(str(name) for name in seen) == ["Ana", "live"]
    assert (await shop.contacts.get(contact.id)).tags == ["seen"]


async def test_a_callback_that_raises_is_tried_again(
    crm: ventros.aio.Crm, shop: ventros.aio.Project, clock: ventros.ManualClock
) -> None:
    attempts: list[str | None] = []

    async def handler(event: ventros.Event[Any]) -> None:
        attempts.append(event.data.name)
        if len(attempts) == 1:
            raise RuntimeError("not yet")

    shop.subscribe("audit", handler, "contact.created")
    await shop.contacts.create(name="Ana")
    await crm.run_pending()
    clock.advance(10)
    await crm.run_pending()
    await crm.run_pending()
    assert attempts == ["Ana", "Ana"]


async def test_cancelling_a_task_cancels_its_call(shop: ventros.aio.Project) -> None:
    engine = shop._async  # pyright: ignore[reportPrivateUsage]
    task = asyncio.create_task(engine.call("engine.sleep", b"{}", b"{}"))
    await shop.contacts.create(name="Ana")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(engine.call("engine.sleep", b"{}", b"{}"), timeout=0.01)
    assert (await shop.contacts.create(name="Bia")).name == "Bia"


async def test_a_panic_is_an_internal_error(shop: ventros.aio.Project) -> None:
    from ventros._calls import decode

    answer = await shop._async.call("engine.panic", b"{}", b"{}")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(ventros.InternalError):
        decode("engine.panic", answer, None)


async def test_closing_answers_calls_that_wait(location: str) -> None:
    crm = await ventros.aio.open(location)
    waiting = asyncio.create_task(crm._async.call("engine.sleep", b"{}", b"{}"))  # pyright: ignore[reportPrivateUsage]
    await crm.projects.create(name="Acme")
    await crm.close()
    await crm.close()
    assert b'"closed"' in await waiting
    with pytest.raises(ventros.UnavailableError):
        await crm.projects.create(name="Acme")


async def test_callbacks_run_by_themselves_in_the_background(location: str) -> None:
    heard = asyncio.Event()
    async with ventros.aio.open(location) as crm:
        shop = crm.project((await crm.projects.create(name="Acme")).id)
        shop.on("contact.created", lambda event: heard.set())
        await shop.contacts.create(name="Ana")
        await asyncio.wait_for(heard.wait(), timeout=10)


async def test_a_handler_may_be_a_coroutine_function(
    crm: ventros.aio.Crm, shop: ventros.aio.Project, clock: ventros.ManualClock
) -> None:
    async def report(job: ClaimedJob) -> str:
        if job.attempts == 1:
            raise ventros.Retry("not yet", after=30)
        return (await shop.contacts.create(name="Ana")).name or ""

    shop.handle("host.report", report)
    job = await shop.jobs.enqueue(kind="host.report")
    await crm.run_pending()
    assert (await shop.jobs.get(job.id)).last_error == "not yet"
    clock.advance(30)
    await crm.run_pending()
    ended = await shop.jobs.get(job.id)
    assert (ended.state, ended.result, ended.attempts) == ("succeeded", "Ana", 2)


async def test_a_function_handles_jobs_on_a_thread(crm: ventros.aio.Crm, shop: ventros.aio.Project) -> None:
    threads: set[bool] = set()
    crm.handle("host.report", lambda job: threads.add(threading.current_thread() is threading.main_thread()))
    await shop.jobs.enqueue(kind="host.report")
    await crm.run_pending()
    assert threads == {False}


async def test_a_job_that_is_lost_is_cancelled_and_its_place_is_free_again(location: str) -> None:
    clock = ventros.ManualClock(datetime(2025, 1, 6, tzinfo=UTC))
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(job: ClaimedJob) -> None:
        if job.payload == "quick":
            ended.set()
            return
        began.set()
        await asyncio.Event().wait()

    async with ventros.aio.open(location, clock=clock) as crm:
        shop = crm.project((await crm.projects.create(name="Acme")).id)
        crm.handle("host.report", slow, concurrency=1)
        job = await shop.jobs.enqueue(kind="host.report")
        await asyncio.wait_for(began.wait(), 10)
        await shop.jobs.cancel(job.id)
        await shop.jobs.enqueue(kind="host.report", payload="quick")
        clock.advance(10)
        await asyncio.wait_for(ended.wait(), 10)
        assert (await shop.jobs.get(job.id)).state == "cancelled"


async def test_something_cancelled_inside_of_a_handler_is_a_failure(
    crm: ventros.aio.Crm, shop: ventros.aio.Project
) -> None:
    async def report(job: ClaimedJob) -> None:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner

    shop.handle("host.report", report)
    job = await shop.jobs.enqueue(kind="host.report")
    await crm.run_pending()
    failed = await shop.jobs.get(job.id)
    assert (failed.state, failed.attempts) == ("scheduled", 1)


async def test_close_waits_for_jobs_that_run(lasting: str) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(job: ClaimedJob) -> str:
        began.set()
        await go_on.wait()
        return (await shop.contacts.create(name="made at the end")).name or ""

    crm = await ventros.aio.open(lasting)
    shop = crm.project((await crm.projects.create(name="Acme")).id)
    shop.handle("host.report", slow)
    job = await shop.jobs.enqueue(kind="host.report")
    await asyncio.wait_for(began.wait(), 10)
    closing = asyncio.create_task(crm.close())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(closing, 10)
    async with ventros.aio.open(lasting, background=False) as again:
        ended = await again.project(shop.id).jobs.get(job.id)
        assert (ended.state, ended.result) == ("succeeded", "made at the end")


async def test_what_callbacks_and_handlers_do_is_part_of_the_flow(
    crm: ventros.aio.Crm, shop: ventros.aio.Project
) -> None:
    heard: list[ventros.Event[Any]] = []

    async def greet(event: ventros.Event[ContactCreated]) -> None:
        if event.data.name == "Ana":
            await shop.contacts.add_tag(ventros.types.ContactId(event.aggregate_id), tag="new")
            # Also what is done beside the callback.
            await asyncio.gather(*(shop.jobs.enqueue(kind="host.greet") for _ in range(2)))

    async def handle(job: ClaimedJob) -> None:
        assert job.causation_id == heard[0].id
        await shop.contacts.create(name="Bia")

    shop.subscribe("greeter", greet, ContactCreated)
    shop.handle("host.greet", handle)
    shop.subscribe("all", heard.append, "contact.*")
    await shop.contacts.create(name="Ana")
    await crm.run_pending()
    first, *followed = heard
    assert [event.type for event in followed] == ["contact.tag_added", "contact.created", "contact.created"]
    for event in followed:
        assert (event.correlation_id, event.causation_id) == (first.correlation_id, first.id)
    await shop.caused_by(followed[0]).contacts.create(name="Davi")
    await shop.contacts.create(name="Caio")
    await crm.run_pending()
    assert [event.causation_id for event in heard[4:]] == [followed[0].id, None]
