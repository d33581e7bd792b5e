"""Threads that look up names: what they leave behind, and what happens without them."""

import gc
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from dns.resolver import Resolver

from pool._runtime import sync_dns
from pool._sync.srv import resolve
from support.dns import DnsServer
from support.sync_net import until

LIMIT = 20.0
NAME = "_redis._tcp.example"


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"look up {NAME}"]


def test_a_resolver_that_never_ends_on_its_own() -> None:
    """The call ends in time all the same; its thread does when the resolver does, and stops no exit."""
    go_on = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        go_on.wait(LIMIT)
        raise OSError("too late")

    with pytest.raises(TimeoutError):
        resolve(NAME, 0.05, SimpleNamespace(resolve=hang))
    (thread,) = lookups()
    assert thread.daemon
    go_on.set()
    until(lambda: not lookups())


def test_no_thread_left() -> None:
    """A lookup that was answered leaves no thread."""
    with DnsServer({NAME: [(0, 0, 6379, "a.")]}) as server:
        resolve(NAME, LIMIT, server.resolver(Resolver))
    until(lambda: not lookups())


def test_no_new_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there can be no more threads, the caller's own asks."""

    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(sync_dns, "Thread", NoThread)
    with DnsServer({NAME: [(0, 0, 6379, "a.")]}) as server:
        found = resolve(NAME, LIMIT, server.resolver(Resolver))
    assert found.addresses == (("a", 6379),)


def test_errors_are_no_garbage() -> None:
    """An error and what it holds go with the last reference: no cycle waits for the collector."""

    class Defect(Exception):
        pass

    def fail(*_: Any, **__: Any) -> Any:
        raise Defect

    def attempt() -> "weakref.ref[Defect]":
        try:
            resolve(NAME, LIMIT, SimpleNamespace(resolve=fail))
        except Defect as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        seen = attempt()
        until(lambda: not lookups())
        assert seen() is None
    finally:
        gc.enable()
