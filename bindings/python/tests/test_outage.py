"""The server goes away and comes back: callers are told, callbacks go on, and nothing is lost or heard twice."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator

import pytest
from servers import Server

import ventros
from ventros.events import ContactCreated

PATIENCE = 20


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server that may be stopped."""
    server = Server(own=True)
    yield server
    server.close()


class Complaints(logging.Handler):
    """What the callbacks' log says, as it is said."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.put(record.getMessage())


@pytest.fixture
def complaints() -> Iterator[queue.SimpleQueue[str]]:
    handler = Complaints()
    logging.getLogger("ventros").addHandler(handler)
    yield handler.heard
    logging.getLogger("ventros").removeHandler(handler)


def test_callbacks_outlive_an_outage(mortal: Server, complaints: queue.SimpleQueue[str]) -> None:
    place = mortal.fresh()
    live: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    durable: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    away, handled = threading.Event(), threading.Event()

    def audit(event: ventros.Event[ContactCreated]) -> None:
        durable.put(event.data.name)
        if event.data.name == "two":
            handled.set()
            assert away.wait(PATIENCE)

    with ventros.open(place) as crm, ventros.open(place) as elsewhere:
        project = crm.projects.create(name="Acme").id
        shop, others = crm.project(project), elsewhere.project(project)
        shop.on(ContactCreated, lambda event: live.put(event.data.name))
        shop.subscribe("audit", audit, ContactCreated)
        others.contacts.create(name="one")
        assert [live.get(timeout=PATIENCE), durable.get(timeout=PATIENCE)] == ["one", "one"]
        others.contacts.create(name="two")
        assert handled.wait(PATIENCE)
        mortal.stop()
        # Now the audit has handled what it cannot acknowledge.
        away.set()
        for handle in (shop, others):
            with pytest.raises(ventros.UnavailableError) as caught:
                handle.contacts.create(name="nobody")
            assert caught.value.code == "unavailable"
        start = time.monotonic()
        for _ in range(8):
            assert "unavailable" in complaints.get(timeout=PATIENCE)
        assert time.monotonic() - start > 2, "whoever cannot read looks once a second, and not again and again"
        mortal.start()
        others.contacts.create(name="three")
        back = time.monotonic()
        assert [live.get(timeout=PATIENCE) for _ in range(2)] == ["two", "three"]
        assert [durable.get(timeout=PATIENCE) for _ in range(2)] == ["two", "three"]
        assert time.monotonic() - back < 10, "nobody waits for a lease of its own"
        shop.contacts.create(name="four")
        crm.run_pending()
        assert [live.get_nowait(), durable.get_nowait()] == ["four", "four"]
        assert live.empty()
        assert durable.empty()
