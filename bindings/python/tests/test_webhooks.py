"""Webhooks, brought to a real receiver and verified with the published library of Standard Webhooks."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import standardwebhooks

import ventros

Delivery = tuple[dict[str, str], bytes]


class Receiver:
    """Takes what is posted to it, and answers by a script: a status, or None to hang up."""

    def __init__(self, port: int = 0, script: Callable[[int], int | None] = lambda _: 204) -> None:
        taken: list[Delivery] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = script(len(taken))
                if status is not None:
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.taken = taken
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def opened(clock: ventros.ManualClock | None = None) -> Generator[tuple[ventros.Crm, ventros.Project]]:
    key = os.urandom(32)
    with ventros.open(
        ":memory:",
        background=False,
        clock=clock,
        encryption_key=key,
        private_hosts=["127.0.0.1"],
        allow_http=True,
    ) as crm:
        yield crm, crm.project(crm.projects.create(name="Acme").id)


def make(shop: ventros.Project, port: int) -> tuple[ventros.types.CreatedWebhook, str]:
    url = f"http://127.0.0.1:{port}/hook"
    made = shop.webhooks.create(name="N8N", url=url, event_types=["contact.*"], headers={"X-Token": "secret-token"})
    assert made.plain_secret is not None
    return made, made.plain_secret


def test_the_published_library_verifies_what_arrives() -> None:
    receiver = Receiver()
    with opened() as (crm, shop):
        made, secret = make(shop, receiver.port)
        ana = shop.contacts.create(name="Ana")
        crm.run_pending()
        headers, body = receiver.taken[-1]
        event = standardwebhooks.Webhook(secret).verify(body, headers)
        assert (event["type"], event["subject"]) == ("io.ventros.contact.created.v1", f"contact/{ana.id}")
        assert headers["x-token"] == "secret-token"
        tampered = body.replace(b"Ana", b"Eva")
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(tampered, headers)

        rotated = shop.webhooks.rotate_secret(made.id)
        shop.contacts.create(name="Bia")
        crm.run_pending()
        headers, body = receiver.taken[-1]
        for key in (secret, rotated.plain_secret):
            assert standardwebhooks.Webhook(key).verify(body, headers)["data"]["name"] == "Bia"
        tested = shop.webhooks.test(made.id)
        assert tested.status == "pending"
        crm.run_pending()
        delivery = shop.webhooks.get_delivery(tested.delivery_id)
        assert (delivery.status, delivery.attempts[0].status_code) == ("succeeded", 204)
        headers, body = receiver.taken[-1]
        assert standardwebhooks.Webhook(rotated.plain_secret).verify(body, headers)["test"] is True
        assert [delivery.status for delivery in shop.webhooks.list_deliveries()] == ["succeeded"] * 3
    receiver.close()


def test_a_receiver_fails_hangs_up_and_restarts() -> None:
    receiver = Receiver(script=lambda number: [500, None, 301][number - 1] if number <= 3 else 200)
    clock = ventros.ManualClock(datetime.now(UTC))
    with opened(clock) as (crm, shop):
        make(shop, receiver.port)
        shop.contacts.create(name="Ana")
        crm.run_pending()
        for _ in range(2):
            clock.advance(3600)
            crm.run_pending()
        receiver.close()
        clock.advance(3600)
        crm.run_pending()
        delivery = next(iter(shop.webhooks.list_deliveries()))
        kinds = [attempt.error_kind for attempt in delivery.attempts]
        assert (delivery.status, kinds) == ("pending", ["status", "interrupted", "redirect", "connect"])
        again = Receiver(port=receiver.port)
        clock.advance(3600)
        crm.run_pending()
        delivery = next(iter(shop.webhooks.list_deliveries()))
        assert (delivery.status, delivery.attempt_count) == ("succeeded", 5)
        ids = {headers["webhook-id"] for headers, _ in receiver.taken + again.taken}
        bodies = {body for _, body in receiver.taken + again.taken}
        assert (len(ids), len(bodies), json.loads(bodies.pop())["data"]["name"]) == (1, 1, "Ana")
        again.close()


def test_nothing_private_is_called_unless_it_is_allowed() -> None:
    with ventros.open(":memory:", background=False, encryption_key=os.urandom(32)) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        with pytest.raises(ventros.ValidationError) as caught:
            shop.webhooks.create(name="x", url="https://127.0.0.1/", event_types=["*"])
        assert caught.value.code == "url_not_public"
    with pytest.raises(ventros.ValidationError) as caught:
        ventros.open(":memory:", background=False, private_hosts=["https://n8n.internal/x"])
    assert (caught.value.code, caught.value.field) == ("url_invalid", "private_hosts[0]")


def test_without_http_nothing_leaves() -> None:
    with ventros.open(":memory:", background=False, encryption_key=os.urandom(32), http=False) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        made = shop.webhooks.create(name="x", url="https://example.com/", event_types=["contact.*"])
        with pytest.raises(ventros.InvalidStateError) as caught:
            shop.webhooks.test(made.id)
        assert caught.value.code == "http_not_configured"
