"""Runs both processes on one database until every message is answered, prints the conversations, and checks what was heard.

python run.py [ADDRESS]. Without an address it starts a private PostgreSQL, which is gone afterwards.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import ventros
from ventros import types as t

HERE = Path(__file__).parent
SERVE = HERE.parents[1] / "storage-postgres" / "tests" / "cluster" / "serve.sh"
TYPED = ["Bom dia!", "Fazemos, sim.", "De chocolate e de morango.", "Até sábado.", "Às ordens!"]
PATIENCE = 60
AT_ONCE = 250
"""Milliseconds. Without a word from PostgreSQL a process looks once a second: most changes would be heard of later than that."""


class Program:
    """A process that says what it does, line by line, and ends with its input."""

    def __init__(self, name: str, *command: str) -> None:
        self._name = name
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._changed = threading.Condition()
        self.said: list[str] = []
        self._is_listening = True
        self._ears = threading.Thread(target=self._listen, daemon=True)
        self._ears.start()

    def wait_for(self, words: str, times: int = 1) -> None:
        """Until it has said these words so often."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_listening or self.count(words) >= times, PATIENCE)
            if self.count(words) < times:
                sys.exit(f"{self._name} said {words!r} {self.count(words)} times and not {times}")

    def count(self, words: str) -> int:
        return sum(words in line for line in self.said)

    def numbers(self, pattern: str) -> list[int]:
        """The number that the pattern finds in each line."""
        return [int(found[1]) for line in self.said if (found := re.search(pattern, line))]

    def type(self, words: str) -> None:
        assert self._process.stdin is not None
        print(words, file=self._process.stdin, flush=True)

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(PATIENCE) != 0:
            sys.exit(f"{self._name} ended with {self._process.returncode}")
        self._ears.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            print(f"{self._name:>8} | {line}", end="", flush=True)
            with self._changed:
                self.said.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_listening = False
            self._changed.notify_all()


def main(given: str | None = None) -> None:
    os.environ.setdefault("VENTROS_KEY", base64.b64encode(os.urandom(32)).decode())
    with database(given) as address:
        receiver = Program("receiver", sys.executable, str(HERE / "receiver.py"), address)
        receiver.wait_for("ready")
        desk = Program("desk", "node", str(HERE / "build" / "desk.js"), address)
        receiver.wait_for("fed")
        with ventros.open(address, encryption_key=os.environ["VENTROS_KEY"], background=False) as crm:
            acme = crm.projects.find(slug="acme")
            assert acme is not None
            shop = crm.project(acme.id)
            received = numbers_of(crm, shop, "message.received")
            receiver.wait_for("sent to", len(received))
            desk.wait_for("delivered", len(received))
            for number, words in enumerate(TYPED if received else [], len(received) + 1):
                desk.type(words)
                desk.wait_for("delivered", number)
            desk.end()
            receiver.end()
            for chat in shop.chats.list():
                print_chat(shop, chat)
            if received:
                check(received, receiver, desk)
            else:
                print("\nNothing new: every message was taken in by an earlier run.")


@contextmanager
def database(given: str | None) -> Generator[str]:
    if given is not None:
        yield given
        return
    # It prints its address, and ends when its input does, also when this program is killed.
    with subprocess.Popen([str(SERVE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        yield address or sys.exit("there is no database")
        server.stdin.close()


def numbers_of(crm: ventros.Crm, shop: ventros.Project, type: str) -> list[int]:
    """The numbers of all events of this type, as a third reader finds them in the log."""
    found: list[int] = []
    reading = shop.subscribe("run", lambda event: found.append(event.seq), type)
    crm.run_pending()
    reading.cancel()
    return found


def print_chat(shop: ventros.Project, chat: t.Chat) -> None:
    print(f"\n{shop.contacts.get(chat.contact_id).name if chat.contact_id else chat.subject}")
    for message in shop.messages.list(filter={"field": "chat_id", "op": "eq", "value": chat.id}, sort=["timestamp"]):
        words = message.content.body if isinstance(message.content, t.ContentText) else f"[{message.content.type}]"
        way = "<" if message.direction == "inbound" else f"> ({message.status})"
        print(f"  {message.timestamp:%Y-%m-%d %H:%M:%S} {way} {words}")


def check(received: list[int], receiver: Program, desk: Program) -> None:
    heard = desk.numbers(r"^heard .*\(#(\d+)\)$")
    assert heard == received, f"the desk heard {heard} of {received}"
    assert receiver.count("sent to") == len(received) + len(TYPED), "a reply was sent twice"
    # Of those that came while the receiver had nothing else to do.
    late = sorted(receiver.numbers(r"after (\d+) ms")[-len(TYPED) :])
    half = late[len(late) // 2]
    assert half < AT_ONCE, f"the receiver heard of replies after {late} ms"
    print(f"\n{len(received)} messages, each heard once by the desk, answered and sent once.")
    print(f"The receiver heard of what the desk typed after {half} ms (the median).")


if __name__ == "__main__":
    main(*sys.argv[1:])
