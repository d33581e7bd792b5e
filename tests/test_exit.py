"""Programs that end with a live pool, in both worlds: at once, with status 0 and without a word."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.slow

#: Seconds that the interpreter may take to end, when the program has nothing left to do.
AT_ONCE = 5.0

#: For those who lose a lease: they are told so.
QUIET = (
    "import logging, warnings; logging.disable(); warnings.simplefilter('ignore', ResourceWarning)"
)

SYNC = """
import atexit, gc, sys, threading, time
from pool.sync import ConnectionManager, ConnectionPool

def hang():
    threading.Event().wait()

class Manager(ConnectionManager):
    hangs = ""
    busy = 0
    def meet(self, name):
        if name == self.hangs:
            Manager.busy += 1
            hang()
    def create(self, endpoint, timeout):
        self.meet("create")
        return object()
    def dispose(self, endpoint, conn, timeout):
        self.meet("dispose")
    def check_aliveness(self, endpoint, conn, timeout):
        self.meet("check")
        return True

def until(condition):
    while not condition():
        time.sleep(0.001)

pool = ConnectionPool(Manager(), {options})
{body}
print(time.monotonic(), flush=True)
"""

# Each one is its options, and what the program does.
SYNC_PROGRAMS = {
    "never used": ("", ""),
    "asleep": ("min_size=2", "pool.warm_up('e')"),
    "asleep with nothing due": (
        "idle_timeout=None, max_lifetime=None",
        "pool.acquire('e').release()",
    ),
    "in a create": (
        "min_size=2",
        """
        lease = pool.acquire('e')
        Manager.hangs = 'create'
        pool.resize(min_size=3)
        until(lambda: Manager.busy)
        """,
    ),
    "in a check": (
        "health_check_interval=0.001",
        """
        pool.acquire('e').release()
        Manager.hangs = 'check'
        until(lambda: Manager.busy)
        """,
    ),
    "in a dispose": (
        "idle_timeout=0.001",
        """
        Manager.hangs = 'dispose'
        pool.acquire('e').release()
        until(lambda: Manager.busy)
        """,
    ),
    "leases held": (
        "",
        """
        lease = pool.acquire('e')
        block = pool.connection('f')
        block.__enter__()
        cycle = [pool.acquire('g')]
        cycle.append(cycle)
        class Holder:
            lease = pool.acquire('h')
        sys.modules['somebody'] = Holder
        """,
    ),
    "others hold and wait": (
        "max_size=1",
        """
        def hold():
            with pool.connection('e'):
                hang()
        for _ in range(3):
            threading.Thread(target=hold, daemon=True).start()
        until(lambda: pool.stats().waiting == 2)
        """,
    ),
    "a lease was just lost": ("", f"{QUIET}\npool.acquire('e')"),
    "used at the very end": (
        "min_size=1",
        """
        import logging, warnings
        logging.disable()
        warnings.simplefilter('ignore', ResourceWarning)
        def last():
            with pool.connection('e'):
                pass
            pool.maintain()
            pool.acquire('e')
        atexit.register(last)
        """,
    ),
    "closed at the very end": ("min_size=1", "atexit.register(pool.close)\npool.warm_up('e')"),
    "closed while it hangs": (
        "min_size=1",
        """
        Manager.hangs = 'create'
        pool.add('e')
        until(lambda: Manager.busy)
        pool.close()
        """,
    ),
    "dropped": ("min_size=1", "pool.warm_up('e')\ndel pool"),
}

AIO = """
import asyncio, gc, logging, sys, time
# In debug mode it tells of whatever takes long, as everything may on a busy machine.
logging.getLogger("asyncio").setLevel(logging.ERROR)
from pool.aio import ConnectionManager, ConnectionPool

async def hang():
    await asyncio.get_running_loop().create_future()

class Manager(ConnectionManager):
    hangs = ""
    busy = 0
    async def meet(self, name):
        if name == self.hangs:
            Manager.busy += 1
            await hang()
    async def create(self, endpoint, timeout):
        await self.meet("create")
        return object()
    async def dispose(self, endpoint, conn, timeout):
        await self.meet("dispose")
    async def check_aliveness(self, endpoint, conn, timeout):
        await self.meet("check")
        return True

async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)

pool = ConnectionPool(Manager(), {options})
async def main():
    global pool, lease, block, cycle
    pass
{body}
{end}
print(time.monotonic(), flush=True)
"""

AIO_PROGRAMS = {
    "never used": ("", ""),
    "asleep": ("min_size=2", "await pool.warm_up('e')"),
    "asleep with nothing due": (
        "idle_timeout=None, max_lifetime=None",
        "await (await pool.acquire('e')).release()",
    ),
    "in a create": (
        "min_size=2",
        """
        lease = await pool.acquire('e')
        Manager.hangs = 'create'
        pool.resize(min_size=3)
        await until(lambda: Manager.busy)
        """,
    ),
    "in a check": (
        "health_check_interval=0.001",
        """
        await (await pool.acquire('e')).release()
        Manager.hangs = 'check'
        await until(lambda: Manager.busy)
        """,
    ),
    "in a dispose": (
        "idle_timeout=0.001",
        """
        Manager.hangs = 'dispose'
        await (await pool.acquire('e')).release()
        await until(lambda: Manager.busy)
        """,
    ),
    "leases held": (
        "",
        """
        lease = await pool.acquire('e')
        block = pool.connection('f')
        await block.__aenter__()
        cycle = [await pool.acquire('g')]
        cycle.append(cycle)
        class Holder:
            pass
        Holder.lease = await pool.acquire('h')
        sys.modules['somebody'] = Holder
        """,
    ),
    "a lease was just lost": ("", f"{QUIET}\nawait pool.acquire('e')"),
    "closed while it hangs": (
        "min_size=1",
        """
        Manager.hangs = 'create'
        await pool.add('e')
        await until(lambda: Manager.busy)
        await pool.close()
        """,
    ),
    "dropped": ("min_size=1", "await pool.warm_up('e')\ndel pool"),
}

ENDS = {
    "run": "asyncio.run(main())",
    "closed": "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())\nloop.close()",
    "left open": "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())",
}


def run(program: str, flags: list[str]) -> None:
    """Run a program that says when it has nothing left to do; fail unless it ends well."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    # The clock is the machine's, the same for both processes.
    assert time.monotonic() - float(done.stdout) < AT_ONCE


FLAGS = {"": [], "dev": ["-X", "dev"], "strict": ["-W", "error"]}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("name", SYNC_PROGRAMS)
def test_threads(name: str, flags: str) -> None:
    """Whatever the worker is at, and whoever holds what."""
    options, body = SYNC_PROGRAMS[name]
    run(SYNC.format(options=options, body=textwrap.dedent(body)), FLAGS[flags])


# A loop that is left open complains itself to those who want to hear everything.
@pytest.mark.parametrize(
    ("end", "flags"),
    [(end, flags) for end in ENDS for flags in FLAGS if end != "left open" or not flags],
)
@pytest.mark.parametrize("name", AIO_PROGRAMS)
def test_event_loops(name: str, end: str, flags: str) -> None:
    """However the loop is left."""
    options, body = AIO_PROGRAMS[name]
    body = textwrap.indent(textwrap.dedent(body), "    ")
    run(AIO.format(options=options, body=body, end=ENDS[end]), FLAGS[flags])
