"""Doing jobs: what handlers give and raise, how many run, and how they end."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from processes import finish, python

import ventros
from ventros.types import ClaimedJob

pytestmark = pytest.mark.both_stores


def test_what_a_handler_returns_is_the_result_of_its_job(crm: ventros.Crm, shop: ventros.Project) -> None:
    seen: list[ClaimedJob] = []

    def report(job: ClaimedJob) -> dict[str, int]:
        seen.append(job)
        return {"pages": job.payload["month"] + 2}

    crm.handle("host.report", report)
    job = shop.jobs.enqueue(kind="host.report", payload={"month": 1}, order_key="reports")
    assert crm.run_pending().delivered == 1
    [claimed] = seen
    assert (claimed.id, claimed.project_id, claimed.idempotency_key) == (job.id, shop.id, job.id)
    assert (claimed.attempts, claimed.order_key) == (1, "reports")
    ended = shop.jobs.get(job.id)
    assert (ended.state, ended.result) == ("succeeded", {"pages": 3})


def test_case_8_a_handler_that_fails_twice_succeeds_at_its_third_try_with_the_same_key(
    crm: ventros.Crm, shop: ventros.Project, clock: ventros.ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    keys: list[str] = []

    def report(job: ClaimedJob) -> None:
        keys.append(job.idempotency_key)
        if job.attempts == 1:
            raise ventros.Retry("the printer is out of paper", after=timedelta(seconds=30))
        if job.attempts == 2:
            raise RuntimeError("the printer is on fire")

    shop.handle("host.report", report)
    job = shop.jobs.enqueue(kind="host.report")
    crm.run_pending()
    assert shop.jobs.get(job.id).last_error == "the printer is out of paper"
    clock.advance(29)
    crm.run_pending()
    assert len(keys) == 1
    clock.advance(1)
    crm.run_pending()
    assert shop.jobs.get(job.id).last_error == "RuntimeError: the printer is on fire"
    assert "the printer is on fire" in caplog.text
    clock.advance(60)
    crm.run_pending()
    ended = shop.jobs.get(job.id)
    assert (ended.state, ended.attempts, keys) == ("succeeded", 3, [job.id] * 3)


def test_case_8_what_can_never_work_is_dead_after_one_try(crm: ventros.Crm, shop: ventros.Project) -> None:
    def report(job: ClaimedJob) -> None:
        raise ventros.Permanent("no such month")

    shop.handle("host.report", report)
    job = shop.jobs.enqueue(kind="host.report")
    crm.run_pending()
    ended = shop.jobs.get(job.id)
    assert (ended.state, ended.attempts, ended.last_error) == ("dead", 1, "no such month")


def test_case_8_whoever_is_asked_to_wait_loses_no_try(
    crm: ventros.Crm, shop: ventros.Project, clock: ventros.ManualClock
) -> None:
    tries: list[int] = []

    def report(job: ClaimedJob) -> None:
        tries.append(job.attempts)
        if len(tries) == 1:
            raise ventros.RateLimited(after=60)

    shop.handle("host.report", report)
    shop.jobs.enqueue(kind="host.report")
    crm.run_pending()
    clock.advance(59)
    crm.run_pending()
    assert tries == [1]
    clock.advance(1)
    crm.run_pending()
    assert tries == [1, 1]


def test_case_11_the_result_of_a_job_that_is_cancelled_while_it_runs_is_dropped(
    crm: ventros.Crm, shop: ventros.Project
) -> None:
    def report(job: ClaimedJob) -> int:
        shop.jobs.cancel(job.id)
        return 3

    shop.handle("host.report", report)
    job = shop.jobs.enqueue(kind="host.report")
    crm.run_pending()
    ended = shop.jobs.get(job.id)
    assert (ended.state, ended.result) == ("cancelled", None)


def test_what_cannot_be_written_as_json_or_is_too_large_is_a_failure(crm: ventros.Crm, shop: ventros.Project) -> None:
    results: list[Any] = [object(), "x" * 20_000]
    shop.handle("host.report", lambda job: results.pop())
    jobs = [shop.jobs.enqueue(kind="host.report") for _ in results]
    crm.run_pending()
    large, unspeakable = (shop.jobs.get(job.id) for job in jobs)
    assert (large.state, unspeakable.state) == ("scheduled", "scheduled")
    assert "json_too_large" in (large.last_error or "")
    assert "TypeError" in (unspeakable.last_error or "")


def test_a_coroutine_function_is_awaited(crm: ventros.Crm, shop: ventros.Project) -> None:
    async def report(job: ClaimedJob) -> str:
        await asyncio.sleep(0)
        return "awaited"

    shop.handle("host.report", report)
    job = shop.jobs.enqueue(kind="host.report")
    crm.run_pending()
    assert shop.jobs.get(job.id).result == "awaited"


def test_a_handler_may_call_the_crm_enqueue_more_and_run_pending(crm: ventros.Crm, shop: ventros.Project) -> None:
    def report(job: ClaimedJob) -> None:
        crm.run_pending()
        shop.contacts.create(name=f"Contact {job.payload}")
        if job.payload < 3:
            shop.jobs.enqueue(kind="host.report", payload=job.payload + 1)

    shop.handle("host.report", report)
    shop.jobs.enqueue(kind="host.report", payload=1)
    crm.run_pending()
    assert sorted(contact.name for contact in shop.contacts.list()) == ["Contact 1", "Contact 2", "Contact 3"]


def test_a_handler_is_of_one_kind_and_project_or_of_all_projects(crm: ventros.Crm, shop: ventros.Project) -> None:
    other = crm.project(crm.projects.create(name="Other").id)
    seen: list[tuple[str, str]] = []
    shop.handle("host.report", lambda job: seen.append(("one", job.project_id)))
    for project in (shop, other):
        project.jobs.enqueue(kind="host.report")
        project.jobs.enqueue(kind="host.another")
    crm.run_pending()
    assert seen == [("one", shop.id)]
    crm.handle("host.another", lambda job: seen.append(("all", job.project_id)))
    crm.run_pending()
    assert sorted(seen[1:]) == sorted([("all", shop.id), ("all", other.id)])


def test_a_cancelled_handler_takes_no_more(crm: ventros.Crm, shop: ventros.Project) -> None:
    seen: list[str] = []
    subscription = shop.handle("host.report", lambda job: seen.append(job.id))
    subscription.cancel()
    subscription.cancel()
    job = shop.jobs.enqueue(kind="host.report")
    crm.run_pending()
    assert seen == []
    shop.handle("host.report", lambda job: seen.append(job.id))
    crm.run_pending()
    assert seen == [job.id]


def test_what_leaves_a_handler_leaves_the_job_to_be_tried_again(
    crm: ventros.Crm, shop: ventros.Project, clock: ventros.ManualClock
) -> None:
    leave = [KeyboardInterrupt()]

    def report(job: ClaimedJob) -> int:
        if leave:
            raise leave.pop()
        return job.attempts

    shop.handle("host.report", report)
    job = shop.jobs.enqueue(kind="host.report")
    with pytest.raises(KeyboardInterrupt):
        crm.run_pending()
    crm.run_pending()
    clock.advance(10)
    crm.run_pending()
    assert shop.jobs.get(job.id).result == 2


def test_wrong_kinds_limits_and_handlers_are_refused(shop: ventros.Project) -> None:
    wrong: Any = "no function"
    with pytest.raises(TypeError):
        shop.handle("host.report", wrong)
    with pytest.raises(ventros.ValidationError) as caught:
        shop.handle("report", print)
    assert caught.value.code == "job_kind_unknown"
    with pytest.raises(ventros.ValidationError) as caught:
        shop.handle("host.report", print, concurrency=101)
    assert (caught.value.code, caught.value.field) == ("limit_out_of_range", "concurrency")
    with pytest.raises(ventros.ValidationError) as caught:
        shop.handle("host.report", print, timeout=timedelta(hours=2))
    assert (caught.value.code, caught.value.field) == ("limit_out_of_range", "timeout_seconds")


def test_jobs_run_side_by_side_in_the_background_and_no_more_than_there_is_room_for(location: str) -> None:
    together = threading.Barrier(3)
    lock = threading.Lock()
    running = most = ended = 0

    def report(job: ClaimedJob) -> None:
        nonlocal running, most, ended
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1
            ended += 1

    with ventros.open(location) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        crm.handle("host.report", report, concurrency=3)
        for _ in range(12):
            shop.jobs.enqueue(kind="host.report")
        crm.run_pending()
    assert (most, ended) == (3, 12)


def test_a_long_job_stays_with_its_handler_and_a_second_program_gets_nothing(lasting: str) -> None:
    """The clock of both jumps less than a lease at a time, as the clock of a slow handler does."""
    began, go_on = threading.Event(), threading.Event()
    stolen: list[str] = []

    def slow(job: ClaimedJob) -> str:
        began.set()
        assert go_on.wait(20)
        return "mine"

    clock = ventros.ManualClock(datetime(2025, 1, 6, tzinfo=UTC))
    with ventros.open(lasting, clock=clock) as crm, ventros.open(lasting, clock=clock, background=False) as other:
        shop = crm.project(crm.projects.create(name="Acme").id)
        crm.handle("host.report", slow)
        job = shop.jobs.enqueue(kind="host.report")
        assert began.wait(10)
        other.handle("host.report", lambda job: stolen.append(job.id))
        for _ in range(5):
            clock.advance(20)
            leased = clock.now() + timedelta(seconds=25)
            deadline = time.monotonic() + 20
            while (held := shop.jobs.get(job.id).leased_until) is None or held < leased:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            other.run_pending()
        go_on.set()
        crm.run_pending()
        assert stolen == []
        assert shop.jobs.get(job.id).result == "mine"


def test_close_waits_for_jobs_that_run_and_hands_back_the_others(lasting: str) -> None:
    began, closing = threading.Event(), threading.Event()

    def slow(job: ClaimedJob) -> str:
        began.set()
        assert closing.wait(10)
        return shop.contacts.create(name="made at the end").name or ""

    crm = ventros.open(lasting)
    shop = crm.project(crm.projects.create(name="Acme").id)
    crm.handle("host.report", slow, concurrency=1)
    first = shop.jobs.enqueue(kind="host.report")
    assert began.wait(10)
    second = shop.jobs.enqueue(kind="host.report")
    closer = threading.Thread(target=crm.close)
    closer.start()
    closing.set()
    closer.join(20)
    with ventros.open(lasting, background=False) as again:
        shop_again = again.project(shop.id)
        ended, left = shop_again.jobs.get(first.id), shop_again.jobs.get(second.id)
        assert (ended.state, ended.result) == ("succeeded", "made at the end")
        assert (left.state, left.attempts) == ("scheduled", 0)


def test_a_handler_may_close_the_crm(lasting: str) -> None:
    closed = threading.Event()
    crm = ventros.open(lasting)
    shop = crm.project(crm.projects.create(name="Acme").id)

    def report(job: ClaimedJob) -> None:
        crm.close()
        closed.set()

    crm.handle("host.report", report)
    shop.jobs.enqueue(kind="host.report")
    assert closed.wait(10)


def test_a_program_that_ends_hands_its_jobs_back_or_finishes_them(lasting: str) -> None:
    program = """
        import sys, threading, time
        import ventros

        crm = ventros.open(sys.argv[1])
        shop = crm.project(crm.projects.create(name="Acme").id)
        began = threading.Event()

        def slow(job):
            began.set()
            time.sleep(0.3)
            print("done", flush=True)

        crm.handle("host.report", slow)
        job = shop.jobs.enqueue(kind="host.report")
        print(shop.id, job.id, flush=True)
        began.wait()
    """
    code, out, err = finish(python(program, lasting))
    assert code == 0, err
    project, job, done = out.split()
    assert done == "done"
    with ventros.open(lasting, background=False) as crm:
        shop = crm.project(ventros.types.ProjectId(project))
        assert shop.jobs.get(ventros.types.JobId(job)).state == "succeeded"


def test_two_programs_do_each_job_once(lasting: str) -> None:
    program = """
        import sys, threading
        import ventros

        done = []
        with ventros.open(sys.argv[1]) as crm:
            crm.handle("host.report", lambda job: done.append(job.payload), concurrency=8)
            print("ready", flush=True)
            sys.stdin.readline()
        print(*done)
    """
    with ventros.open(lasting) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        workers = [python(program, lasting) for _ in range(2)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for number in range(100):
            shop.jobs.enqueue(kind="host.report", payload=number)
        deadline = time.monotonic() + 30
        while shop.jobs.list(kind="host.report", states=["scheduled", "running"], limit=1).page().items:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    outs: list[str] = []
    for worker in workers:
        code, out, err = finish(worker)
        assert code == 0, err
        outs.append(out)
    done = [int(word) for out in outs for word in out.split()]
    assert sorted(done) == list(range(100))
