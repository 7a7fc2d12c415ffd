"""The main job in one program: opens a SQLite file, creates a project and a channel, feeds a folder of WhatsApp webhooks,
prints each event as it is heard, then the conversations as a person would read them.

python quickstart.py [FILE] [FOLDER]. A second run over the same folder changes nothing and says so.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import ventros
from ventros import types as t

SAMPLES = Path(__file__).parent / "payloads"


def main(file: str = "crm.db", folder: str | Path = SAMPLES) -> None:
    payloads = sorted(Path(folder).glob("*.json"))
    if not payloads:
        sys.exit(f"{folder} holds no .json files: give a folder of webhook payloads")
    with ventros.open(file) as crm:
        shop = open_project(crm)
        line = open_channel(shop)
        shop.on("*", print_event)

        print(f"Feeding {len(payloads)} files of {folder} into {file}")
        outcomes = Counter[str]()
        for path in payloads:
            for outcome in shop.inbound.ingest(channel_id=line, raw=path.read_bytes()):
                outcomes[outcome.type] += 1
        crm.run_pending()

        print("\n" + ", ".join(f"{count} {kind}" for kind, count in sorted(outcomes.items())))
        if not outcomes["recorded"]:
            print("Nothing new: every message of this folder was recorded by an earlier run.")
        for chat in shop.chats.list():
            print_chat(shop, chat)


def open_project(crm: ventros.Crm) -> ventros.Project:
    known = crm.projects.find(slug="acme")
    acme = known or crm.projects.create(name="Acme", default_region="BR")
    return crm.project(acme.id)


def open_channel(shop: ventros.Project) -> t.ChannelId:
    for line in shop.channels.list():
        return line.id
    return shop.channels.create(name="WhatsApp", type="waha").id


def print_event(event: ventros.Event[Any]) -> None:
    content = getattr(event.data, "content", None)
    print(f"  event {event.seq:>4}  {event.type:<28}{words(content) if content else ''}")


def print_chat(shop: ventros.Project, chat: t.Chat) -> None:
    who = shop.contacts.get(chat.contact_id).name if chat.contact_id else chat.subject
    print(f"\n{chat.chat_type} chat with {who}: {chat.message_count} messages, {chat.unread_count} unread")
    session = None
    for message in shop.messages.list(filter={"field": "chat_id", "op": "eq", "value": chat.id}, sort=["timestamp"]):
        if message.session_id not in (None, session):
            session = message.session_id
            print(f"  ---- session of {message.timestamp:%Y-%m-%d %H:%M} ----")
        print(f"  {message.timestamp:%H:%M:%S}  {line_of(message)}")


def line_of(message: t.Message) -> str:
    way = {"inbound": "in ", "outbound": "out", "internal": "   "}[message.direction]
    who = message.sender_name or ("me" if message.direction == "outbound" else "")
    reactions = "".join(f" {reaction.emoji}" for reaction in message.reactions)
    changes = (" (edited)" if message.edit_count else "") + (" (taken back)" if message.revoked_at else "")
    status = f"  [{message.status}]" if message.direction == "outbound" else ""
    return f"{way}  {who + ': ' if who else ''}{words(message.content)}{changes}{reactions}{status}"


def words(content: t.Content) -> str:
    """What a person would say stands there."""
    match content:
        case t.ContentText():
            return content.body
        case t.ContentLocation(location=place):
            return f"[location] {place.name or ''} {place.latitude}, {place.longitude}"
        case t.ContentContact(cards=cards):
            return "[contact] " + ", ".join(card.display_name or card.name or "?" for card in cards)
        case t.ContentSystem(notice=notice):
            return f"[{notice.kind.replace('_', ' ')}]"
        case t.ContentTemplate() | t.ContentInteractive() | t.ContentUnsupported():
            return f"[{content.type}]"
        case _:
            name = content.media.filename or ""
            return " ".join(part for part in (f"[{content.type}]", name, content.caption or "") if part)


if __name__ == "__main__":
    main(*sys.argv[1:])
