"""Calling: results, pages, options, transactions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import ventros
from ventros import commands

pytestmark = pytest.mark.both_stores


def test_results_are_typed_structs(shop: ventros.Project, clock: ventros.ManualClock) -> None:
    contact = shop.contacts.create(name="Ana")
    assert isinstance(contact, ventros.types.Contact)
    assert contact.name == "Ana"
    assert contact.created_at == datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
    clock.advance(timedelta(hours=1))
    assert shop.contacts.create(name="Bia").created_at == contact.created_at + timedelta(hours=1)


def test_a_list_pages_by_itself(shop: ventros.Project) -> None:
    for number in range(25):
        shop.contacts.create(name=f"Contact {number:02}")
    page = shop.contacts.list(sort=["name"], limit=10).page()
    assert [contact.name for contact in page][:2] == ["Contact 00", "Contact 01"]
    assert page.has_more
    assert len(page) == 10
    second = shop.contacts.list(sort=["name"], limit=10).page(page.next_cursor)
    assert second.items[0].name == "Contact 10"
    assert len(list(shop.contacts.list(sort=["name"], limit=10))) == 25
    assert shop.contacts.list(limit=10, with_total=True).page().total == 25


def test_filters_are_dictionaries(shop: ventros.Project) -> None:
    for name in ("Ana", "Bia", "Caio"):
        shop.contacts.create(name=name)
    found = shop.contacts.list(
        filter={
            "any": [
                {"field": "name", "op": "eq", "value": "Ana"},
                {"not": {"field": "name", "op": "ne", "value": "Caio"}},
            ]
        },
        sort=["-name"],
    )
    assert [contact.name for contact in found] == ["Caio", "Ana"]


def test_an_idempotency_key_gives_the_first_result_again(shop: ventros.Project) -> None:
    first = shop.contacts.create(name="Ana", idempotency_key="k1")
    assert shop.contacts.create(name="Ana", idempotency_key="k1") == first
    with pytest.raises(ventros.ConflictError) as caught:
        shop.contacts.create(name="Bia", idempotency_key="k1")
    assert caught.value.code == "idempotency_key_reused"


def test_an_expected_version_guards_against_other_writers(shop: ventros.Project) -> None:
    contact = shop.contacts.create(name="Ana")
    shop.contacts.add_tag(contact.id, tag="vip", expected_version=contact.version)
    with pytest.raises(ventros.ConflictError) as caught:
        shop.contacts.add_tag(contact.id, tag="new", expected_version=contact.version)
    assert caught.value.code == "version_conflict"


def test_a_transaction_is_all_or_nothing(shop: ventros.Project) -> None:
    contact = shop.contacts.create(name="Ana")
    created, tagged = shop.transact(
        [commands.contacts.create(name="Bia"), commands.contacts.add_tag(contact.id, tag="vip")]
    )
    assert isinstance(created, ventros.types.Contact)
    assert created.name == "Bia"
    assert tagged.tags == ["vip"]
    nobody = ventros.types.ContactId("0190f0c0-0000-7000-8000-000000000000")
    with pytest.raises(ventros.NotFoundError) as caught:
        shop.transact([commands.contacts.create(name="Caio"), commands.contacts.add_tag(nobody, tag="vip")])
    assert caught.value.field == "[1].input"
    assert [contact.name for contact in shop.contacts.list(sort=["name"])] == ["Ana", "Bia"]


def test_another_projects_things_do_not_exist(crm: ventros.Crm, shop: ventros.Project) -> None:
    contact = shop.contacts.create(name="Ana")
    other = crm.project(crm.projects.create(name="Other").id)
    with pytest.raises(ventros.NotFoundError):
        other.contacts.get(contact.id)


def test_an_unknown_user_may_do_nothing(crm: ventros.Crm, shop: ventros.Project) -> None:
    stranger = crm.project(shop.id, actor="0190f0c0-0000-7000-8000-000000000001")
    with pytest.raises(ventros.ForbiddenError):
        stranger.contacts.create(name="Ana")
