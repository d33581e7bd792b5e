"""The kit in a child process."""

import os
import threading
from typing import Any

import pytest
from behaviour._sync.fakes import Connection, Hooked

from pool.testing.sync import ChaosManager
from support.forks import FORKS, child
from support.sync import call_soon, until

pytestmark = [
    pytest.mark.filterwarnings(FORKS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]


def test_chaos_goes_on_in_a_child() -> None:
    """Whoever had its lock, or hung, stays in the parent; rules and broken connections go along."""
    chaos: ChaosManager[Any, Connection] = ChaosManager(Hooked())
    conn = chaos.create("e", None)
    chaos.reset("e", conn)
    chaos.rule("hang")
    hanging = call_soon(chaos.create, "e", None)
    until(lambda: chaos.hanging)
    chaos.rule("refuse")

    def report() -> tuple[int, bool, str]:
        try:
            chaos.create("e", None)
        except ConnectionRefusedError as error:
            return chaos.hanging, chaos.check_aliveness("e", conn, None), str(error)
        raise AssertionError("it was not refused")

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with chaos._faults._lock:
            held.set()
            assert done.wait(20.0)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20.0)
    try:
        assert child(report) == (0, False, "chaos: create at 'e': refuse")
    finally:
        done.set()
        holder.join()
    chaos.heal()
    hanging.result()
