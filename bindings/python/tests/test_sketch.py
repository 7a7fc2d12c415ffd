"""What users do with it, from the first line to the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ventros

pytestmark = pytest.mark.both_stores

PAYLOADS = Path(__file__).parents[3] / "examples" / "quickstart" / "payloads"


def test_the_sketch_of_the_architecture(lasting: str) -> None:
    payload: dict[str, Any] = json.loads((PAYLOADS / "02_text_from_ad.json").read_bytes())
    heard: list[Any] = []
    audited: list[str] = []
    with ventros.open(lasting) as crm:
        acme = crm.projects.create(name="Acme", default_region="BR")
        shop = crm.project(acme.id)
        line = shop.channels.create(name="WhatsApp", type="waha")
        shop.on("message.received", lambda event: heard.append(event.data.content))
        shop.subscribe("audit", lambda event: audited.append(event.type), events=["contact.*"], start="start")
        outcomes = [outcome.type for outcome in shop.inbound.ingest(channel_id=line.id, raw=payload)]
        assert outcomes.count("recorded") == 1
        again = [outcome.type for outcome in shop.inbound.ingest(channel_id=line.id, raw=json.dumps(payload).encode())]
        assert again.count("duplicate") == 1
        assert "recorded" not in again

        known = next(iter(shop.contacts.list()))
        assert known.phone is not None
        customer = shop.contacts.find(phone=known.phone)
        assert customer is not None
        customer = shop.contacts.update(customer.id, name="First customer")
        customer = shop.contacts.add_tag(customer.id, tag="vip")
        assert customer.name == "First customer"
        assert "vip" in customer.tags

        messages = list(shop.messages.list(filter={"field": "contact_id", "op": "eq", "value": customer.id}))
        assert len(messages) == 1

        with pytest.raises(ventros.ValidationError) as caught:
            shop.contacts.update(customer.id, email="not an address")
        assert (caught.value.code, caught.value.field) == ("email_invalid", "email")

        crm.run_pending()
        assert heard == [messages[0].content]
        assert audited[0] == "contact.created"
        assert {"contact.name_changed", "contact.tag_added"} <= set(audited)


def test_the_same_folder_twice_changes_nothing(lasting: str, capsys: pytest.CaptureFixture[str]) -> None:
    import runpy

    quickstart = runpy.run_path(str(PAYLOADS.parent / "quickstart.py"))["main"]
    quickstart(lasting, PAYLOADS)
    first = capsys.readouterr().out
    quickstart(lasting, PAYLOADS)
    second = capsys.readouterr().out
    assert "Nothing new" not in first
    assert "Nothing new" in second
