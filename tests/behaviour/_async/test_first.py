"""The main thing: connections are lent, kept and closed."""

from pool.aio import ConnectionPool

from .fakes import Manager, Recorder, assert_empty, held


async def test_a_connection_is_reused() -> None:
    """The second caller gets the connection of the first one."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        first = await held(pool)
        second = await held(pool)
        assert first is second
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_the_events_of_one_checkout() -> None:
    """Every step is told, in order."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await held(pool)
    assert recorder.names() == [
        "PoolCreated",
        "PoolReady",
        "ConnectionCheckOutStarted",
        "ConnectionCreated",
        "ConnectionReady",
        "ConnectionCheckedOut",
        "ConnectionCheckedIn",
        "ConnectionClosed",
        "PoolClosed",
    ]
