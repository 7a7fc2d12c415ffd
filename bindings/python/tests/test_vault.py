"""The vault: a key at opening, and what happens without one."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

import ventros


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"sixteen bytes...", "key_length_invalid"),
        ("AAAA", "key_length_invalid"),
        ("no base64 at all", "input_invalid"),
    ],
)
def test_a_malformed_key_is_refused(key: bytes | str, code: str) -> None:
    with pytest.raises(ventros.ValidationError) as caught:
        ventros.open(":memory:", background=False, encryption_key=key)
    assert (caught.value.code, caught.value.field) == (code, "encryption_key")


def test_a_key_is_bytes_or_base64() -> None:
    key = os.urandom(32)
    ventros.open(":memory:", background=False, encryption_key=key).close()
    ventros.open(":memory:", background=False, encryption_key=base64.b64encode(key).decode()).close()


def test_a_key_is_changed(tmp_path: Path) -> None:
    old, new = os.urandom(32), os.urandom(32)
    store = tmp_path / "crm.db"
    with ventros.open(store, background=False, encryption_key=old) as crm:
        project = crm.projects.create(name="Acme").id
        made = crm.project(project).credentials.create(credential_type="api_key", name="Main", value="a-secret")
    with pytest.raises(ventros.ValidationError) as caught:
        ventros.open(store, background=False, old_encryption_keys=[old])
    assert (caught.value.code, caught.value.field) == ("field_required", "encryption_key")
    with ventros.open(store, background=False, encryption_key=new, old_encryption_keys=[old]) as crm:
        crm.credentials.rotate_keys()
        crm.run_pending()
    with ventros.open(store, background=False, encryption_key=new) as crm:
        assert crm.project(project).credentials.open(made.id, purpose="test").text == "a-secret"


def test_a_channel_keeps_its_secrets_in_the_vault() -> None:
    with ventros.open(":memory:", background=False, encryption_key=os.urandom(32)) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        made = shop.channels.create(
            name="Sales",
            type="waha",
            external_id="session-one",
            config={"base_url": "https://waha.example.com"},
            secrets={"api_key": "abcdef0123456789"},
        )
        assert made.secrets["api_key"].hint == "6789"
        assert "abcdef0123456789" not in repr(made)
        assert shop.channels.activate(made.id).status == "activating"
        assert shop.channels.webhook_url(made.id).token == made.plain_webhook_token


def test_without_a_key_secrets_are_refused(shop: ventros.Project) -> None:
    with pytest.raises(ventros.InvalidStateError) as caught:
        shop.channels.create(name="A", type="waha", secrets={"api_key": "k"})
    assert (caught.value.code, caught.value.field) == ("encryption_not_configured", "secrets.api_key")


def test_a_user_has_a_password() -> None:
    with ventros.open(":memory:", background=False, encryption_key=os.urandom(32)) as crm:
        ana = crm.users.create(name="Ana", email="ana@acme.com", password="correct horse battery")
        found = crm.users.authenticate(email="ana@acme.com", password="correct horse battery")
        assert found.user.id == ana.id
        with pytest.raises(ventros.UnauthenticatedError) as caught:
            crm.users.authenticate(email="ana@acme.com", password="incorrect horse battery")
        assert caught.value.code == "login_invalid"
        assert crm.users.get(id=ana.id).failed_logins == 1


def test_security_health_says_what_to_look_at(tmp_path: Path) -> None:
    place = tmp_path / "health.db"
    with ventros.open(place, background=False, private_hosts=["n8n.internal:5678"], allow_http=True) as crm:
        health = crm.privacy.security_health()
        assert (health.store.kind, health.store.open_to_others) == ("sqlite", False)
        assert health.outbound.private_hosts == ["n8n.internal:5678"]
        assert health.findings == ["encryption_not_configured", "plain_http_allowed"]
        place.chmod(0o644)
        assert "file_open_to_others" in crm.privacy.security_health().findings
