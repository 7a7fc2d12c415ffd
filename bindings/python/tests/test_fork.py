"""Forking: the parent is busy, the child has one thread and opens its own."""

from __future__ import annotations

import os

import pytest
from processes import finish, python
from servers import Server

pytestmark = [pytest.mark.both_stores, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]


def test_fifty_children_of_a_busy_parent_open_their_own(lasting: str, server: Server | None) -> None:
    own = lasting if server is not None else f"{lasting}-{{}}"
    code, out, err = finish(
        python(
            """
        import contextlib, os, signal, sys, threading, traceback, ventros
        crm = ventros.open(sys.argv[1])
        shop = crm.project(crm.projects.create(name="Acme").id)
        shop.on("*", lambda event: None)
        shop.subscribe("audit", lambda event: None)
        stop = threading.Event()

        def work(thread):
            number = 0
            while not stop.is_set():
                number += 1
                shop.contacts.create(name=f"{thread}-{number}")
                shop.contacts.list().page()
                with contextlib.suppress(ventros.ValidationError):
                    shop.contacts.create(name="Ana", phone="?")

        def child(number):
            try:
                shop.contacts.list().page()
            except ventros.InternalError as error:
                assert error.code == "forked"
            else:
                raise AssertionError("the parent's handle answers")
            with ventros.open(sys.argv[2].format(number)) as own:
                shop_of_child = own.project(own.projects.create(name=f"Own {number}").id)
                shop_of_child.on("*", lambda event: None)
                assert shop_of_child.contacts.create(name="Bia").name == "Bia"

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for number in range(50):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    signal.alarm(20)
                    child(number)
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            status = os.waitpid(pid, 0)[1]
            if status != 0:
                print("child", number, "ended with", status, flush=True)
                break
        stop.set()
        for thread in threads:
            thread.join()
        print(shop.contacts.create(name="Caio").name)
        crm.close()
    """,
            lasting,
            own,
        ),
        timeout=240,
    )
    assert (code, out) == (0, "Caio\n"), err


def test_what_a_child_writes_into_the_same_store_outlives_the_parents_handle(lasting: str) -> None:
    code, out, err = finish(
        python(
            """
        import os, sys, ventros
        crm = ventros.open(sys.argv[1], background=False)
        project = crm.projects.create(name="Acme").id
        shop = crm.project(project)
        shop.contacts.create(name="before")
        from_child, to_parent = os.pipe()
        from_parent, to_child = os.pipe()
        pid = os.fork()
        if pid == 0:
            own = ventros.open(sys.argv[1], background=False).project(project)
            own.contacts.create(name="child 1")
            os.write(to_parent, b"1")
            os.read(from_parent, 1)
            own.contacts.create(name="child 2")
            os._exit(0)
        os.read(from_child, 1)
        shop.contacts.create(name="parent")
        crm.close()
        os.write(to_child, b"2")
        assert os.waitpid(pid, 0)[1] == 0
        with ventros.open(sys.argv[1], background=False) as again:
            print([contact.name for contact in again.project(project).contacts.list(sort=["created_at"])])
    """,
            lasting,
        )
    )
    assert (code, out) == (0, "['before', 'child 1', 'parent', 'child 2']\n"), err


def test_an_awaited_call_in_a_child_says_that_it_forked(location: str) -> None:
    code, out, err = finish(
        python(
            """
        import asyncio, os, sys, ventros
        async def opened():
            return await ventros.aio.open(sys.argv[1])
        async def call():
            return (await crm.projects.create(name="Acme")).name
        loop = asyncio.new_event_loop()
        crm = loop.run_until_complete(opened())
        if os.fork() == 0:
            try:
                asyncio.new_event_loop().run_until_complete(call())
            except ventros.InternalError as error:
                print(error.code, flush=True)
            os._exit(0)
        os.wait()
        print(loop.run_until_complete(call()))
        loop.run_until_complete(crm.close())
    """,
            location,
        )
    )
    assert (code, out) == (0, "forked\nAcme\n"), err
