"""The asynchronous half of the twin for DNS: a query that ends in time, on the event loop."""

import asyncio
from typing import Any

__all__ = ["ask"]


async def ask(resolver: Any, name: str, timeout: float | None) -> Any:
    """Return a resolver's answer to a query for SRV records.

    Raises:
        TimeoutError: ``timeout`` seconds are over.
    """
    # dnspython alone is late: it pauses between its attempts, for up to 2 seconds, whatever time is left.
    async with asyncio.timeout(timeout):
        return await resolver.resolve(name, "SRV", lifetime=timeout)
