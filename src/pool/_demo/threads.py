"""The workload with threads and ``pool.sync``. The same program as ``tasks.py``, line for line."""

import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from pool import PoolStats
from pool._demo.job import CONNECTION_ERRORS, Job, question
from pool.sync import ConnectionPool, TcpConnectionManager


def drive(job: Job) -> PoolStats:
    """Do the job with threads; return the pool's statistics after it was closed."""
    plan = job.plan
    pool = ConnectionPool(
        TcpConnectionManager(), max_size=plan.max_size, event_listeners=[job.listener]
    )

    def worker() -> None:
        while (number := job.next()) is not None:
            while not job.over:
                try:
                    with pool.connection(job.endpoint) as conn:
                        conn.send(question(number))
                        line = conn.receive_until(b"\n", 1024)
                except CONNECTION_ERRORS as error:
                    if job.error(error):  # The server is gone: trust no open connection.
                        pool.clear(job.endpoint)
                    time.sleep(plan.pause)
                else:
                    job.reply(number, line)
                    break

    pool.add(job.endpoint)
    with ThreadPoolExecutor(plan.workers) as crew:
        try:
            running = [crew.submit(worker) for _ in range(plan.workers)]
            wait(running, timeout=plan.give_up, return_when=FIRST_EXCEPTION)
        finally:
            job.end()
            pool.close(timeout=1.0, interrupt_connections=True)
        for done in running:
            done.result()
    return pool.stats()
