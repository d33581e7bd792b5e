"""The ready-made managers for Redis. Need ``twinpool[redis]``."""

from pool._async.redis import Connection, RedisManager
from pool._async.redis_pipeline import PipelinedConnection
from pool._async.redis_shared import PipelinedRedisManager

__all__ = ["Connection", "PipelinedConnection", "PipelinedRedisManager", "RedisManager"]
