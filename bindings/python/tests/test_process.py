"""Living in a process: threads, signals, forks, and its end."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from processes import finish, python

import ventros

pytestmark = pytest.mark.both_stores


def test_sixteen_threads_share_one_crm(shop: ventros.Project) -> None:
    contact = shop.contacts.create(name="Ana")
    start = threading.Barrier(16)
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            start.wait()
            for number in range(20):
                shop.contacts.create(name=f"{thread}-{number}")
                assert shop.contacts.get(contact.id).name == "Ana"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(shop.contacts.list(limit=100))) == 321


@pytest.mark.parametrize(
    "call",
    [
        'crm._native.call("engine.sleep", b"{}", b"{}")',
        'shop.on("*", lambda event: time.sleep(60)); shop.contacts.create(name="Ana"); crm.run_pending()',
    ],
    ids=["inside the engine", "inside a callback"],
)
def test_ctrl_c_ends_a_long_call(call: str, location: str) -> None:
    process = python(
        f"""
        import signal, sys, time, ventros
        # A shell starts what runs in its background with the signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        crm = ventros.open(sys.argv[1], background=False)
        shop = crm.project(crm.projects.create(name="Acme").id)
        try:
            print("ready", flush=True)
            {call}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert shop.contacts.create(name="after").name == "after"
        crm.close()
        print("closed")
    """,
        location,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out) == (0, "interrupted\nclosed\n"), err


def test_the_interpreter_ends_while_callbacks_are_subscribed(location: str) -> None:
    code, out, err = finish(
        python(
            """
        import sys, ventros
        crm = ventros.open(sys.argv[1])
        shop = crm.project(crm.projects.create(name="Acme").id)
        shop.on("*", lambda event: None)
        shop.subscribe("audit", lambda event: None)
        for number in range(50):
            shop.contacts.create(name=str(number))
        print("end")
    """,
            location,
        )
    )
    assert (code, out, err) == (0, "end\n", "")


def test_the_interpreter_ends_while_asyncio_callbacks_are_subscribed(location: str) -> None:
    code, out, err = finish(
        python(
            """
        import asyncio, sys, ventros
        async def main():
            crm = await ventros.aio.open(sys.argv[1])
            shop = crm.project((await crm.projects.create(name="Acme")).id)
            shop.on("*", lambda event: None)
            await shop.contacts.create(name="Ana")
            print("end")
        asyncio.run(main())
    """,
            location,
        )
    )
    assert (code, out, err) == (0, "end\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_gets_a_clear_error_and_may_open_its_own(location: str) -> None:
    code, out, err = finish(
        python(
            """
        import os, sys, ventros
        crm = ventros.open(sys.argv[1], background=False)
        shop = crm.project(crm.projects.create(name="Acme").id)
        shop.on("*", lambda event: None)
        shop.contacts.create(name="Ana")
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            for attempt in (lambda: shop.contacts.create(name="Bia"), lambda: shop.on("*", print)):
                try:
                    attempt()
                except ventros.InternalError as error:
                    print(error.code)
            crm.close()
            with ventros.open(sys.argv[1]) as own:
                print(own.projects.create(name="Own").name)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(shop.contacts.create(name="Caio").name)
    """,
            location,
        )
    )
    assert (code, out) == (0, "forked\nforked\nOwn\nCaio\n"), err
