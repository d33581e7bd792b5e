"""The workload with tasks and ``pool.aio``. The same program as ``threads.py``, line for line."""

import asyncio
from asyncio import FIRST_EXCEPTION, TaskGroup, wait

from pool import PoolStats
from pool._demo.job import CONNECTION_ERRORS, Job, question
from pool.aio import ConnectionPool, TcpConnectionManager


async def drive(job: Job) -> PoolStats:
    """Do the job with tasks; return the pool's statistics after it was closed."""
    plan = job.plan
    pool = ConnectionPool(
        TcpConnectionManager(), max_size=plan.max_size, event_listeners=[job.listener]
    )

    async def worker() -> None:
        while (number := job.next()) is not None:
            while not job.over:
                try:
                    async with pool.connection(job.endpoint) as conn:
                        await conn.send(question(number))
                        line = await conn.receive_until(b"\n", 1024)
                except CONNECTION_ERRORS as error:
                    if job.error(error):  # The server is gone: trust no open connection.
                        await pool.clear(job.endpoint)
                    await asyncio.sleep(plan.pause)
                else:
                    job.reply(number, line)
                    break

    await pool.add(job.endpoint)
    async with TaskGroup() as crew:
        try:
            running = [crew.create_task(worker()) for _ in range(plan.workers)]
            await wait(running, timeout=plan.give_up, return_when=FIRST_EXCEPTION)
        finally:
            job.end()
            await pool.close(timeout=1.0, interrupt_connections=True)
        for done in running:
            await done
    return pool.stats()
