"""Failing: one class per kind, the reason in the code, the field at fault."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import ventros
from ventros.errors import CLASSES

pytestmark = pytest.mark.both_stores


def test_a_bad_value_names_its_field(shop: ventros.Project) -> None:
    with pytest.raises(ventros.ValidationError) as caught:
        shop.contacts.create(name="Ana", email="not an address")
    assert (caught.value.code, caught.value.field) == ("email_invalid", "email")


def test_a_wrong_type_names_its_field(shop: ventros.Project) -> None:
    nonsense: Any = {"not": "a name"}
    with pytest.raises(ventros.ValidationError) as caught:
        shop.contacts.create(name=nonsense)
    assert (caught.value.code, caught.value.field) == ("input_invalid", "name")


def test_a_value_without_json_is_refused_before_the_call(shop: ventros.Project) -> None:
    nonsense: Any = object()
    with pytest.raises(TypeError):
        shop.contacts.create(name=nonsense)


def test_an_id_of_no_contact(shop: ventros.Project) -> None:
    with pytest.raises(ventros.ValidationError) as malformed:
        shop.contacts.get(ventros.types.ContactId("nonsense"))
    assert (malformed.value.code, malformed.value.field) == ("id_invalid", "id")
    with pytest.raises(ventros.NotFoundError) as absent:
        shop.contacts.get(ventros.types.ContactId("0190f0c0-0000-7000-8000-000000000000"))
    assert absent.value.code == "contact_not_found"


def test_every_kind_has_a_class_and_all_share_one_base() -> None:
    assert len(set(CLASSES.values())) == 12
    assert all(issubclass(kind, ventros.VentrosError) for kind in CLASSES.values())


def test_an_exception_survives_pickling() -> None:
    error = ventros.ConflictError("version_conflict", "Somebody was faster.", "id", {"max": 3})
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, ventros.ConflictError)
    assert (copy.code, copy.message, copy.field, copy.details) == (
        "version_conflict",
        "Somebody was faster.",
        "id",
        {"max": 3},
    )


def test_a_panic_is_an_internal_error_and_not_the_end(shop: ventros.Project) -> None:
    from ventros._calls import decode

    answer = shop._native.call("engine.panic", b"{}", b"{}")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(ventros.InternalError) as caught:
        decode("engine.panic", answer, None)
    assert caught.value.code == "internal"
    assert shop.contacts.create(name="Ana").name == "Ana"


def test_a_closed_crm_says_so_and_closes_twice(location: str) -> None:
    crm = ventros.open(location)
    crm.close()
    crm.close()
    with pytest.raises(ventros.UnavailableError) as caught:
        crm.projects.create(name="Acme")
    assert caught.value.code == "closed"


def test_a_store_that_cannot_be_opened(tmp_path: Any) -> None:
    with pytest.raises(ventros.UnavailableError):
        ventros.open(tmp_path / "no" / "such" / "folder" / "crm.db")
