"""The ready-made manager for Redis. Needs ``twinpool[redis]``."""

from pool._async.redis import Connection, RedisManager

__all__ = ["Connection", "RedisManager"]
