"""Docstrings and comments read as if they were written for the sync world.

See ``pool.aio``, ``pool._async.pool`` and ``await pool.close()``; an async iterator, an async generator,
async functions. The async pool is a fact in both worlds. Waiting is left alone: a sync
pool stays one, and aios is no name of ours.

Example::

    async def main():
        async with pool.aio.ConnectionPool(manager) as pool:
            conn = await pool.acquire(endpoint)
            async for line in conn:
                return await line
"""

# Call `await close()`, in an async with block or an async context manager.


def method():
    """Say what ``async def`` does."""  # await self.done()
    raise RuntimeError("use `async with pool.aio.connection()`" 'or "aio"')
