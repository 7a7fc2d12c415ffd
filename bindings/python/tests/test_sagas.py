"""Procedures of several steps: defined here, carried on by the background work, with jobs done by handlers."""

from __future__ import annotations

from typing import Any

import pytest

import ventros
from ventros.types import (
    ClaimedJob,
    SagaDefinition,
    SagaInputField,
    StepActionCommand,
    StepActionJob,
    StepActionWait,
    StepCompensation,
    StepDefinition,
    StepRetry,
)

pytestmark = pytest.mark.both_stores


def setup(version: int = 1) -> SagaDefinition:
    """An account at a provider, a contact of ours, and somebody's word that all is well."""
    return SagaDefinition(
        kind="host.setup",
        version=version,
        input={"name": SagaInputField(type="text", required=True)},
        steps=[
            StepDefinition(
                id="account",
                run=StepActionJob(kind="host.make_account", payload={"name": {"$from": "input.name"}}),
                compensate=StepCompensation(
                    run=StepActionJob(kind="host.remove_account", payload={"id": {"$from": "data.account.id"}})
                ),
                retry=StepRetry(attempts=2),
            ),
            StepDefinition(
                id="contact",
                run=StepActionCommand(operation="contacts.create", input={"name": {"$from": "input.name"}}),
                compensate=StepCompensation(
                    run=StepActionCommand(operation="contacts.delete", input={"id": {"$from": "data.contact.id"}})
                ),
            ),
            StepDefinition(id="approval", run=StepActionWait(signal="approved"), timeout_seconds=900),
        ],
        output={"contact_id": {"$from": "data.contact.id"}, "by": {"$from": "data.approval.by"}},
    )


def test_a_saga_is_done_step_by_step(crm: ventros.Crm, shop: ventros.Project) -> None:
    keys: list[str] = []

    def make_account(job: ClaimedJob) -> dict[str, Any]:
        keys.append(job.idempotency_key)
        return {"id": "acct_9", "for": job.payload["name"]}

    crm.define_saga(setup())
    crm.handle("host.make_account", make_account)
    started = shop.sagas.start(kind="host.setup", key="acct1", input={"name": "Ana"})
    assert (started.created, started.saga.status) == (True, "running")
    assert not shop.sagas.start(kind="host.setup", key="acct1", input={"name": "Ana"}).created
    crm.run_pending()
    waiting = shop.sagas.get(started.saga.id)
    assert (waiting.status, waiting.current_step, keys) == ("waiting", "approval", [f"{waiting.id}:account:1"])
    shop.sagas.signal(kind="host.setup", key="acct1", name="approved", data={"by": "Bo"})
    crm.run_pending()
    ended = shop.sagas.get(started.saga.id)
    assert (ended.status, ended.output["by"]) == ("completed", "Bo")
    assert shop.contacts.get(ended.output["contact_id"]).name == "Ana"
    assert [(step.step, step.status) for step in ended.steps] == [
        ("account", "succeeded"),
        ("contact", "succeeded"),
        ("approval", "succeeded"),
    ]
    assert "contact.created" in [event.type for event in shop.sagas.timeline(ended.id).events]


def test_what_was_done_is_undone(crm: ventros.Crm, shop: ventros.Project, clock: ventros.ManualClock) -> None:
    removed: list[Any] = []
    crm.define_saga(setup())
    crm.handle("host.make_account", lambda job: {"id": "acct_9"})
    crm.handle("host.remove_account", lambda job: removed.append(job.payload))
    saga = shop.sagas.start(kind="host.setup", key="acct1", input={"name": "Ana"}).saga
    crm.run_pending()
    clock.advance(900)
    crm.run_pending()
    ended = shop.sagas.get(saga.id)
    assert (ended.status, removed) == ("compensated", [{"id": "acct_9"}])
    assert shop.contacts.list().page().items == []


def test_what_is_wrong_is_told_with_its_place(crm: ventros.Crm, shop: ventros.Project) -> None:
    with pytest.raises(ventros.ValidationError) as unknown:
        shop.sagas.start(kind="host.setup", key="acct1")
    assert (unknown.value.code, unknown.value.field) == ("saga_kind_unknown", "kind")
    wrong = SagaDefinition(
        kind="host.setup", steps=[StepDefinition(id="one", run=StepActionCommand(operation="contacts.get"))]
    )
    with pytest.raises(ventros.NotFoundError) as refused:
        crm.define_saga(wrong)
    assert (refused.value.code, refused.value.field) == ("operation_unknown", "steps[0].run.operation")
    crm.define_saga(setup())
    crm.define_saga(setup(version=2))
    with pytest.raises(ventros.ValidationError) as missing:
        shop.sagas.start(kind="host.setup", key="acct1", input={})
    assert (missing.value.code, missing.value.field) == ("field_required", "input.name")
    shop.sagas.start(kind="host.setup", key="acct1", input={"name": "Ana"})
    with pytest.raises(ventros.ConflictError) as reused:
        shop.sagas.start(kind="host.setup", key="acct1", input={"name": "Bo"})
    assert reused.value.code == "saga_key_reused"


async def _started() -> tuple[str, bool]:
    async with await ventros.aio.open(":memory:", background=False) as crm:
        await crm.define_saga(setup())
        shop = crm.project((await crm.projects.create(name="Acme")).id)
        started = await shop.sagas.start(kind="host.setup", key="acct1", input={"name": "Ana"})
        return started.saga.status, started.created


def test_sagas_of_a_loop() -> None:
    import asyncio

    assert asyncio.run(_started()) == ("running", True)
