"""What a call costs in Python beside the same call in Rust, and what reading a page of messages costs.

make bench-python

Rust and Python take turns, so that a busy machine slows both: the differences within a turn count. Beside the time on the
clock stands the time of the processor, which others do not lengthen.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import ventros
from ventros import _calls, types

ROUNDS = 7
CALLS = 2_000
MESSAGES = 50
AIM = 8
RUST = ["cargo", "run", "--quiet", "--release", "--package", "ventros-ffi", "--example", "calls"]
SAMPLE = Path(__file__).parents[3] / "examples/quickstart/payloads/04_text.json"
SAMPLE_ID = "3EB0AA00000000000002"
OPERATIONS = ("contacts.get", "contacts.create")

Cost = tuple[float, float]
"""Microseconds on the clock, in the middle of all calls, and of the processor, on average."""


def rust() -> dict[str, dict[str, float]]:
    """What `bindings/ffi/examples/calls.rs` measures."""
    return json.loads(subprocess.run(RUST, check=True, stdout=subprocess.PIPE).stdout)


def cost(call: Callable[[], object], calls: int = CALLS) -> Cost:
    times: list[int] = []
    began = time.process_time_ns()
    for _ in range(calls):
        started = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - started)
    return median(times) / 1e3, (time.process_time_ns() - began) / 1e3 / calls


async def awaited_cost(call: Callable[[], Awaitable[object]]) -> Cost:
    times: list[int] = []
    began = time.process_time_ns()
    for _ in range(CALLS):
        started = time.perf_counter_ns()
        await call()
        times.append(time.perf_counter_ns() - started)
    return median(times) / 1e3, (time.process_time_ns() - began) / 1e3 / CALLS


def blocking() -> dict[str, Cost]:
    with ventros.open(":memory:", background=False) as crm:
        shop = crm.project(crm.projects.create(name="Acme").id)
        contact = shop.contacts.create(name="Ana")
        native: Any = crm._native  # pyright: ignore[reportPrivateUsage]
        context = json.dumps({"project_id": shop.id}).encode()
        get = json.dumps({"id": contact.id}).encode()
        numbers = iter(range(sys.maxsize))
        return {
            "bytes": cost(lambda: native.call("contacts.get", get, context)),
            "contacts.get": cost(lambda: shop.contacts.get(contact.id)),
            "contacts.create": cost(lambda: shop.contacts.create(name=f"Contact {next(numbers)}")),
        }


async def awaited() -> dict[str, Cost]:
    async with ventros.aio.open(":memory:", background=False) as crm:
        shop = crm.project((await crm.projects.create(name="Acme")).id)
        contact = await shop.contacts.create(name="Ana")
        numbers = iter(range(sys.maxsize))
        return {
            "contacts.get": await awaited_cost(lambda: shop.contacts.get(contact.id)),
            "contacts.create": await awaited_cost(lambda: shop.contacts.create(name=f"Contact {next(numbers)}")),
        }


def page() -> tuple[Cost, int]:
    """What reading a page of messages costs once the engine has answered, and its length in bytes."""
    with ventros.open(":memory:", background=False) as crm:
        shop = crm.project(crm.projects.create(name="Acme", default_region="BR").id)
        channel = shop.channels.create(name="Line", type="waha")
        for number in range(MESSAGES):
            another = SAMPLE.read_text().replace(SAMPLE_ID, f"{number:020}")
            shop.inbound.ingest(channel_id=channel.id, raw=another)
        native: Any = crm._native  # pyright: ignore[reportPrivateUsage]
        context = json.dumps({"project_id": shop.id}).encode()
        answer: bytes = native.call("messages.list", json.dumps({"limit": MESSAGES}).encode(), context)
        kind = ventros.Page[types.Message]
        assert len(_calls.decode("messages.list", answer, kind)) == MESSAGES
        return cost(lambda: _calls.decode("messages.list", answer, kind), 500), len(answer)


def main() -> None:
    turns = [(rust(), blocking(), asyncio.run(awaited())) for _ in range(ROUNDS)]
    print(f"Microseconds, the middle of {ROUNDS} turns of {CALLS} calls. Aim: a blocking call adds at most {AIM}.\n")
    print(f"{'':16} {'Rust':>8} {'Python':>8} {'added':>8} {'processor':>10} {'awaited':>8} {'submitted in Rust':>18}")
    for operation in OPERATIONS:
        direct = median(turn[operation]["direct"] for turn, _, _ in turns)
        submitted = median(turn[operation]["submitted"] for turn, _, _ in turns)
        called = median(turn[operation][0] for _, turn, _ in turns)
        added = median(mine[operation][0] - theirs[operation]["direct"] for theirs, mine, _ in turns)
        processor = median(turn[operation][1] for _, turn, _ in turns)
        waited = median(turn[operation][0] for _, _, turn in turns)
        print(
            f"{operation:16} {direct:8.1f} {called:8.1f} {added:8.1f} {processor:10.1f} {waited:8.1f} {submitted:18.1f}"
        )
    crossing = median(mine["bytes"][0] - theirs["contacts.get"]["direct"] for theirs, mine, _ in turns)
    print(f"\nOf what contacts.get adds, {crossing:.1f} are the way into Rust and back, bytes to bytes.")
    (clock, processor), size = page()
    print(f"Reading a page of {MESSAGES} messages ({size} bytes): {clock:.0f}, processor {processor:.0f}.")


if __name__ == "__main__":
    main()
