"""First use from many threads at the same instant, in processes of their own: a crash there must not end the test run."""

from __future__ import annotations

import pytest
from processes import finish, python

LOCKSTEP = """
    import sys, threading, ventros
    from ventros import commands

    THREADS = 8
    together = threading.Barrier(THREADS, timeout=20)
    failures = []
    sys.setswitchinterval(1e-6)

    def steps(location, number):
        crm = yield lambda: ventros.open(location, background=False)
        shop = crm.project((yield lambda: crm.projects.create(name=f"Acme {number}", default_region="BR")).id)
        heard = []
        shop.subscribe("audit", heard.append)
        ana = yield lambda: shop.contacts.create(name="Ana")
        yield lambda: shop.contacts.get(ana.id)
        yield lambda: shop.contacts.add_tag(ana.id, tag="vip")
        yield lambda: shop.contacts.list().page()
        user = yield lambda: crm.users.create(email=f"{number}@example.com", name="Bia")
        yield lambda: crm.users.list().page()
        yield lambda: crm.projects.list().page()
        yield lambda: shop.channel_types.list().page()
        yield lambda: shop.members.list().page()
        yield lambda: shop.chats.list().page()
        yield lambda: shop.sessions.list().page()
        yield lambda: shop.messages.list().page()
        yield lambda: shop.transact([commands.contacts.create(name="Caio"), commands.contacts.delete(ana.id)])
        yield crm.run_pending
        if not heard:
            raise AssertionError("no events")
        yield crm.close

    def run(location, number):
        try:
            script = steps(location, number)
            step = next(script)
            while True:
                together.wait()
                try:
                    step = script.send(step())
                except StopIteration:
                    return
        except BaseException as error:
            failures.append(error)
            together.abort()

    LOCATION = sys.argv[1]
    threads = [threading.Thread(target=run, args=(LOCATION, number)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(failures or "whole")
"""


@pytest.mark.parametrize("round", range(4))
def test_many_threads_use_the_same_types_for_the_first_time(round: int) -> None:
    code, out, err = finish(python(LOCKSTEP, ":memory:"))
    assert (code, out) == (0, "whole\n"), err


@pytest.mark.both_stores
def test_many_threads_open_the_same_new_store(lasting: str) -> None:
    code, out, err = finish(python(LOCKSTEP, lasting))
    assert (code, out) == (0, "whole\n"), err
