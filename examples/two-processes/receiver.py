"""The line: takes in what WhatsApp delivers, and hands to WhatsApp what the desk has answered. It ends with its input.

python receiver.py ADDRESS [FOLDER], with the key that both processes share in VENTROS_KEY. The webhooks come from a folder of
sample payloads, and nothing leaves this machine: what would be an HTTP request to the gateway is a line of print.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import ventros
from ventros import commands
from ventros import types as t
from ventros.events import MessageCreated

SAMPLES = Path(__file__).parents[1] / "quickstart" / "payloads"


def main(address: str, folder: str | Path = SAMPLES) -> None:
    # With calls to the outside switched on, the replies would be sent over the gateway by themselves.
    with ventros.open(address, encryption_key=os.environ["VENTROS_KEY"], http=False) as crm:
        shop = open_project(crm)
        line = open_line(shop)

        def hear(event: ventros.Event[MessageCreated]) -> None:
            if event.command == "messages.send":
                late = datetime.now(UTC) - (event.recorded_at or event.occurred_at)
                say(f"heard of a reply after {late.total_seconds() * 1_000:.0f} ms (#{event.seq})")
                send_what_is_due(shop)

        # The desk commits in another process; PostgreSQL tells this one.
        shop.on(MessageCreated, hear)
        say("ready")
        for path in sorted(Path(folder).glob("*.json")):
            for outcome in shop.inbound.ingest(channel_id=line, raw=path.read_bytes()):
                say(f"{path.stem}: {outcome.type}")
        say("fed")
        sys.stdin.read()


def open_project(crm: ventros.Crm) -> ventros.Project:
    known = crm.projects.find(slug="acme")
    acme = known or crm.projects.create(name="Acme", default_region="BR")
    return crm.project(acme.id)


def open_line(shop: ventros.Project) -> t.ChannelId:
    """The line, made and switched on at the first start: it takes replies from then on."""
    for line in shop.channels.list():
        return line.id
    gateway = {"base_url": "https://waha.example.com"}
    secrets = {"api_key": "the key of the gateway"}
    line = shop.channels.create(name="WhatsApp", type="waha", external_id="default", config=gateway, secrets=secrets)
    shop.transact(
        [
            commands.channels.activate(line.id),
            commands.channels.report_connection(line.id, connection="connected"),
        ]
    )
    return line.id


def send_what_is_due(shop: ventros.Project) -> None:
    """Of each chat the oldest waiting reply, until none waits. The queue is in the database: any number of lines may share it."""
    while due := shop.messages.claim_due():
        for reply in due:
            message, words = reply.message, reply.message.content
            say(f"sent to {reply.chat_external_id}: {words.body if isinstance(words, t.ContentText) else words.type}")
            shop.messages.report_delivery(
                id=message.id, status="delivered", attempt=reply.attempt, channel_message_id=f"out-{message.id}"
            )


def say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
