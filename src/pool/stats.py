"""Frozen records handed to users. Plain data: a snapshot never changes and holds no connection."""

from pool._record import record

__all__ = ["PoolStats"]


@record(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """One moment of a pool, or of one endpoint in it.

    ``total`` is ``idle + in_use + connecting + closing``; a connection under check or in a hook counts as
    in use. ``waiting`` are callers in the queue. The rest only ever grows.

    Attributes:
        total: connections that count against ``max_size``.
        idle: open and free.
        in_use: held by a caller, or being prepared for or reset after one.
        connecting: being opened.
        closing: being closed.
        waiting: callers in the queue.
        endpoints: endpoints the pool knows.
        created: connections that became ready.
        closed: connections that were ready once and are closed now.
        acquired: leases given.
        released: leases ended.
        timeouts: acquires that ran out of time.
        errors: failed connects, checks and hooks.
        wait_time: seconds that callers spent in the queue until they were served.
        use_time: seconds that leases were held, those that have ended.
    """

    total: int = 0
    idle: int = 0
    in_use: int = 0
    connecting: int = 0
    closing: int = 0
    waiting: int = 0
    endpoints: int = 0
    created: int = 0
    closed: int = 0
    acquired: int = 0
    released: int = 0
    timeouts: int = 0
    errors: int = 0
    wait_time: float = 0.0
    use_time: float = 0.0
