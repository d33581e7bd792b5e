"""What has to be true of a peer before its time means anything."""

import asyncio
import logging

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer

MOMENT = 0.05
"""Seconds in which a checkout would surely end, if nothing stood in its way."""

PATIENCE = 10.0


class InvalidError(Exception):
    """The benchmark would not measure what it says."""


async def check(name: str, peer: AsyncPeer) -> None:
    """Check that what is measured takes the one connection there is, and gives it back.

    Raises:
        InvalidError: it does not.
    """
    async with peer.checkout() as leased:
        connection = peer.bare(leased)
        demand(isinstance(connection, FakeConnection), f"{name} leases something else")
        beside = peer.beside(1)
        done, _ = await asyncio.wait([beside], timeout=MOMENT)
        # The floor cannot wait: it fails.
        demand(not done or beside.exception() is not None, f"{name} takes no connection")
    done, _ = await asyncio.wait([beside], timeout=PATIENCE)
    demand(bool(done), f"{name} waits for a connection that is there")
    await peer.run(3)
    async with asyncio.timeout(PATIENCE), peer.checkout() as again:
        demand(peer.bare(again) is connection, f"{name} does not give the connection back")
    check_opened(name, peer)


def check_opened(name: str, peer: AsyncPeer | SyncPeer) -> None:
    """Check that it opened as many connections as it may have, and no other.

    Raises:
        InvalidError: it did not.
    """
    demand(peer.server.opened == peer.size, f"{name} opened {peer.server.opened} connections")


def check_quiet() -> None:
    """Check that no log record would be made: psycopg_pool has several for each checkout.

    Raises:
        InvalidError: a logger is enabled for INFO.
    """
    for name in (None, *logging.root.manager.loggerDict):
        enabled = logging.getLogger(name).isEnabledFor(logging.INFO)
        demand(not enabled, f"the logger {name or 'root'} is enabled for INFO")


def demand(condition: bool, complaint: str) -> None:
    """Raise ``InvalidError`` unless the condition holds."""
    if not condition:
        raise InvalidError(complaint)
