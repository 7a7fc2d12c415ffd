"""Hearing: live and durable callbacks, retries, and callbacks that call."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import ventros
from ventros.events import ContactCreated, ContactTagAdded

pytestmark = pytest.mark.both_stores


def test_a_live_callback_sees_what_happens_from_now_on(crm: ventros.Crm, shop: ventros.Project) -> None:
    shop.contacts.create(name="before")
    seen: list[str | None] = []
    shop.on(ContactCreated, lambda event: seen.append(event.data.name))
    shop.contacts.create(name="after")
    crm.run_pending()
    assert seen == ["after"]


def test_events_carry_their_envelope_and_typed_data(crm: ventros.Crm, shop: ventros.Project) -> None:
    seen: list[ventros.Event[Any]] = []
    shop.on(["contact.created", "contact.tag_added"], seen.append)
    contact = shop.contacts.create(name="Ana")
    shop.contacts.add_tag(contact.id, tag="vip")
    crm.run_pending()
    created, tagged = seen
    assert (created.type, created.aggregate_id, created.command) == ("contact.created", contact.id, "contacts.create")
    assert isinstance(tagged.data, ContactTagAdded)
    assert tagged.data.tag == "vip"
    assert tagged.seq > created.seq
    assert created.subjects[0] == ventros.Subject(kind="contact", id=contact.id)


def test_a_failing_live_callback_does_not_stop_the_others(
    crm: ventros.Crm, shop: ventros.Project, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def fails(event: ventros.Event[Any]) -> None:
        raise RuntimeError("no")

    shop.on("*", fails)
    shop.on("*", lambda event: seen.append(event.type))
    shop.contacts.create(name="Ana")
    crm.run_pending()
    assert seen == ["contact.created"]
    assert "RuntimeError: no" in caplog.text


def test_a_durable_callback_starts_at_the_start(crm: ventros.Crm, shop: ventros.Project) -> None:
    shop.contacts.create(name="before")
    seen: list[str | None] = []
    shop.subscribe("audit", lambda event: seen.append(event.data.name), ContactCreated, start="start")
    shop.contacts.create(name="after")
    crm.run_pending()
    assert seen == ["before", "after"]


def test_a_durable_callback_that_raises_is_tried_again_and_then_acknowledged(
    crm: ventros.Crm, shop: ventros.Project, clock: ventros.ManualClock
) -> None:
    attempts: list[str | None] = []

    def handler(event: ventros.Event[ContactCreated]) -> None:
        attempts.append(event.data.name)
        if len(attempts) == 2:
            raise RuntimeError("not yet")

    shop.subscribe("audit", handler, ContactCreated)
    for name in ("one", "two", "three"):
        shop.contacts.create(name=name)
    crm.run_pending()
    assert attempts == ["one", "two"]
    crm.run_pending()
    assert attempts == ["one", "two"]
    clock.advance(10)
    crm.run_pending()
    assert attempts == ["one", "two", "two", "three"]
    clock.advance(3600)
    crm.run_pending()
    assert len(attempts) == 4


def test_an_event_that_always_fails_is_given_up_on(
    crm: ventros.Crm, shop: ventros.Project, clock: ventros.ManualClock
) -> None:
    attempts: list[str | None] = []

    def handler(event: ventros.Event[ContactCreated]) -> None:
        attempts.append(event.data.name)
        if event.data.name == "bad":
            raise RuntimeError("never")

    shop.subscribe("audit", handler, ContactCreated, max_attempts=2)
    shop.contacts.create(name="bad")
    shop.contacts.create(name="good")
    for _ in range(4):
        crm.run_pending()
        clock.advance(600)
    assert attempts == ["bad", "bad", "good"]


def test_a_callback_may_call_the_crm_and_run_pending(crm: ventros.Crm, shop: ventros.Project) -> None:
    def handler(event: ventros.Event[ContactCreated]) -> None:
        shop.contacts.add_tag(ventros.types.ContactId(event.aggregate_id), tag="seen")
        crm.run_pending()

    shop.subscribe("tagger", handler, ContactCreated)
    contact = shop.contacts.create(name="Ana")
    crm.run_pending()
    assert shop.contacts.get(contact.id).tags == ["seen"]


def test_a_cancelled_callback_is_silent_and_its_name_goes_on_later(crm: ventros.Crm, shop: ventros.Project) -> None:
    seen: list[str | None] = []

    def note(event: ventros.Event[ContactCreated]) -> None:
        seen.append(event.data.name)

    first = shop.subscribe("audit", note, ContactCreated)
    shop.contacts.create(name="one")
    crm.run_pending()
    first.cancel()
    first.cancel()
    shop.contacts.create(name="two")
    crm.run_pending()
    assert seen == ["one"]
    shop.subscribe("audit", note, ContactCreated)
    crm.run_pending()
    assert seen == ["one", "two"]


def test_a_durable_callback_survives_a_restart(lasting: str) -> None:
    seen: list[str | None] = []

    def note(event: ventros.Event[ContactCreated]) -> None:
        seen.append(event.data.name)

    with ventros.open(lasting, background=False) as crm:
        project = crm.projects.create(name="Acme").id
        shop = crm.project(project)
        shop.subscribe("audit", note, ContactCreated, start="start")
        shop.contacts.create(name="one")
        crm.run_pending()
        shop.contacts.create(name="two")
    with ventros.open(lasting, background=False) as crm:
        crm.project(project).subscribe("audit", note, ContactCreated, start="start")
        crm.run_pending()
    assert seen == ["one", "two"]


def test_callbacks_run_by_themselves_in_the_background(location: str) -> None:
    heard = threading.Event()
    threads: set[str] = set()

    def handler(event: ventros.Event[Any]) -> None:
        threads.add(threading.current_thread().name)
        shop.contacts.add_tag(ventros.types.ContactId(event.aggregate_id), tag="seen")
        heard.set()

    with ventros.open(location) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        shop.on("contact.created", handler)
        shop.contacts.create(name="Ana")
        assert heard.wait(10)
    assert threads == {"ventros"}


def test_run_pending_waits_for_callbacks_of_the_background(location: str) -> None:
    seen: list[str | None] = []
    with ventros.open(location) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        shop.subscribe("audit", lambda event: seen.append(event.data.name), ContactCreated)
        for number in range(250):
            shop.contacts.create(name=str(number))
        crm.run_pending()
        assert seen == [str(number) for number in range(250)]


def test_events_that_arrive_while_a_callback_is_answered_are_not_lost(location: str) -> None:
    seen: list[str | None] = []
    with ventros.open(location) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        shop.subscribe("audit", lambda event: seen.append(event.data.name), ContactCreated)
        for number in range(1_000):
            shop.contacts.create(name=str(number))
            if number % 50 == 0:
                crm.run_pending()
        crm.run_pending()
    assert seen == [str(number) for number in range(1_000)]


def test_what_leaves_a_callback_loses_nothing(crm: ventros.Crm, shop: ventros.Project) -> None:
    seen: dict[str, list[str | None]] = {"first": [], "second": []}
    leave = [KeyboardInterrupt()]

    def first(event: ventros.Event[ContactCreated]) -> None:
        if leave:
            raise leave.pop()
        seen["first"].append(event.data.name)

    shop.subscribe("first", first, ContactCreated)
    shop.subscribe("second", lambda event: seen["second"].append(event.data.name), ContactCreated)
    shop.contacts.create(name="Ana")
    shop.contacts.create(name="Bia")
    with pytest.raises(KeyboardInterrupt):
        crm.run_pending()
    crm.run_pending()
    assert seen == {"first": ["Ana", "Bia"], "second": ["Ana", "Bia"]}


def test_a_callback_may_close_the_crm(location: str) -> None:
    closed = threading.Event()
    crm = ventros.open(location)
    shop = crm.project(crm.projects.create(name="Acme").id)

    def handler(event: ventros.Event[Any]) -> None:
        crm.close()
        closed.set()

    shop.on("*", handler)
    shop.contacts.create(name="Ana")
    assert closed.wait(10)
    with pytest.raises(ventros.UnavailableError):
        shop.contacts.create(name="Bia")


def test_unknown_events_and_names_are_refused(shop: ventros.Project) -> None:
    with pytest.raises(ventros.ValidationError) as caught:
        shop.on("contact.vanished", print)
    assert caught.value.code == "event_type_unknown"
    with pytest.raises(ventros.ValidationError) as caught:
        shop.subscribe("Not A Name", print)
    assert caught.value.field == "name"


def flow(events: list[ventros.Event[Any]]) -> list[tuple[str, str | None]]:
    """Each event with the type of the one that it follows from, all of one flow."""
    types = {event.id: event.type for event in events}
    assert len({event.correlation_id for event in events}) == 1
    return [(event.type, types.get(event.causation_id or "")) for event in events]


def test_what_callbacks_and_handlers_do_is_part_of_the_flow(crm: ventros.Crm, shop: ventros.Project) -> None:
    heard: list[ventros.Event[Any]] = []

    def greet(event: ventros.Event[ContactCreated]) -> None:
        if event.data.name == "Ana":
            contact = ventros.types.ContactId(event.aggregate_id)
            shop.contacts.add_tag(contact, tag="new", expected_version=1)
            shop.jobs.enqueue(kind="host.greet")

    shop.subscribe("greeter", greet, ContactCreated)
    shop.handle("host.greet", lambda job: shop.contacts.create(name="Bia").id)
    shop.subscribe("all", heard.append, "contact.*")
    shop.contacts.create(name="Ana")
    crm.run_pending()
    followed = [("contact.tag_added", "contact.created"), ("contact.created", "contact.created")]
    assert flow(heard) == [("contact.created", None), *followed]
    shop.contacts.create(name="Caio")
    assert shop.caused_by(heard[1]).contacts.create(name="Davi").id
    crm.run_pending()
    alone, caused = heard[3:]
    assert (alone.causation_id, caused.causation_id) == (None, heard[1].id)
    assert flow([*heard[:3], caused])[3] == ("contact.created", "contact.tag_added")
    assert alone.correlation_id != caused.correlation_id
