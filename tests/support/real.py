"""Real servers for tests: Redis and PostgreSQL, started, killed, paused and started again.

They are Debian's packages ``redis-server`` and ``postgresql``. Each has a port and a folder of its own, and
nothing of it is left at the end, even if the tests crash: a process beside it, this file run as a program,
sees to that. ``missing()`` says why a server cannot be had here.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, Self

__all__ = ["HOST", "PostgresServer", "RealServer", "RedisServer", "eventually"]

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds after which a server that should start or end never will."""

ROOM = 2 << 30
"""Bytes that must be free in memory for a server to live there."""

PROC = Path("/proc")


class RealServer(ABC):
    """One server; ``with`` starts it and ends it."""

    name: ClassVar[str]
    package: ClassVar[str]

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(mkdtemp(prefix=f"twinpool-{self.name}-", dir=in_memory()))
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot be started here, ``None`` if it can."""
        if not PROC.joinpath("self", "stat").exists():
            return f"{cls.name} is driven through /proc, which is not there"
        if cls.program() is None:
            return f"{cls.name} is not installed (Debian's package {cls.package})"
        return None

    @classmethod
    @abstractmethod
    def program(cls) -> Path | None:
        """Return where the program is."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """Return the command that runs it in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether it serves clients."""

    @abstractmethod
    def connections(self) -> int:
        """Return how many clients are connected, whoever asks this not counted."""

    # --- Its life ---

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert self._process is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.identity(),
            )
        words = ["-I", "-S", __file__, str(self._process.pid), str(self.folder)]
        self._guard = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.PIPE, start_new_session=True
        )
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is not None or not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                log_text = self.log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"{self.name} does not start:\n{log_text}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it and all its processes, as a crash would; wait until they are gone."""
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if process is not None and process.poll() is None:
            family = stop_all(process.pid)
            send(signal.SIGKILL, family)
            process.wait(PATIENCE)
            eventually(lambda: not any(map(state_of, family)), f"{self.name} survives a SIGKILL")
        if guard is not None:
            guard.kill()
            guard.communicate()

    def pause(self) -> None:
        """Stop all its processes, as a machine that hangs would."""
        assert self._process is not None, f"{self.name} does not run"
        stop_all(self._process.pid)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            send(signal.SIGCONT, descendants(self._process.pid))

    def restart(self) -> None:
        """Kill it if it runs, and start it again, on the same port."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it for good and remove what it has written."""
        try:
            if self._process is not None:
                self.resume()
                self._process.send_signal(signal.SIGINT)
                try:
                    self._process.wait(PATIENCE)
                finally:
                    self.kill()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """What it has to say."""
        return self.folder / "server.log"

    def identity(self) -> dict[str, Any]:
        """Return as whom it runs: arguments of ``Popen``."""
        return {}


class RedisServer(RealServer):
    """Redis, in memory only."""

    name = "redis"
    package = "redis-server"

    @classmethod
    def program(cls) -> Path | None:
        found = shutil.which("redis-server")
        return Path(found) if found else None

    def command(self) -> list[str | Path]:
        program = self.program()
        assert program
        words = ["--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no"]
        return [program, *words, "--dir", self.folder]

    def answers(self) -> bool:
        try:
            return self._ask(b"PING") == b"PONG"
        except (OSError, ValueError):
            return False

    def connections(self) -> int:
        return len(self._ask(b"CLIENT LIST").splitlines()) - 1

    def _ask(self, command: bytes) -> bytes:
        with socket.create_connection((HOST, self.port), 2.0) as sock:
            sock.sendall(command + b"\r\n")
            with sock.makefile("rb") as replies:
                line = replies.readline().strip()
                if line[:1] == b"$":
                    return replies.read(int(line[1:]))
                return line[1:]


class PostgresServer(RealServer):
    """PostgreSQL with the user and database ``postgres``, reached over TCP without a password.

    Parameters:
        max_connections: how many clients it serves at once.
    """

    name = "postgres"
    package = "postgresql"

    def __init__(self, max_connections: int = 30) -> None:
        super().__init__()
        self._max_connections = max_connections
        self._data = self.folder / "data"

    @classmethod
    def program(cls) -> Path | None:
        found = list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        found.sort(key=lambda path: float(path.parent.parent.name))
        on_path = shutil.which("postgres")
        return found[-1] if found else Path(on_path) if on_path else None

    def conninfo(self, application_name: str = "twinpool") -> str:
        """Return how to connect."""
        return (
            f"host={HOST} port={self.port} dbname=postgres user=postgres "
            f"application_name={application_name}"
        )

    def start(self) -> None:
        """Start it and wait until it answers; make its database before, the first time."""
        if not self._data.exists():
            self._initialize()
        # A crash leaves it behind, and by now its process id may be another's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        super().start()

    def _initialize(self) -> None:
        self.log.touch()
        for path in (self.folder, self.log):
            os.chown(path, self.identity().get("user", -1), self.identity().get("group", -1))
        options = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]
        result = subprocess.run(
            [self._tool("initdb"), *options, "--no-locale", self._data],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
            **self.identity(),
        )
        assert result.returncode == 0, f"initdb failed:\n{result.stdout}{result.stderr}"

    def command(self) -> list[str | Path]:
        program = self.program()
        assert program
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": self._max_connections,
            # Only a crash of the machine could harm it now, and it is written faster.
            "fsync": "off",
            "shared_buffers": "16MB",
            # Milliseconds; else it goes on with a statement after the client has gone.
            "client_connection_check_interval": 200,
            # In its folder, and not where a crash would leave it for ever.
            "dynamic_shared_memory_type": "mmap",
        }
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [program, "-D", self._data, *words]

    def answers(self) -> bool:
        command = [str(self._tool("pg_isready")), "-q", "-h", HOST, "-p", str(self.port), "-t", "2"]
        return subprocess.run(command, timeout=PATIENCE, check=False).returncode == 0

    def connections(self) -> int:
        # Not by the process id: whoever asked a moment ago may not be gone yet.
        condition = "backend_type = 'client backend' AND application_name <> 'observer'"
        query = f"SELECT count(*) FROM pg_stat_activity WHERE {condition}"
        words = [str(self._tool("psql")), "-X", "-A", "-t", "-c", query, self.conninfo("observer")]
        return int(subprocess.check_output(words, timeout=PATIENCE))

    def identity(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        import pwd  # There is none on Windows, which has no root either.

        for name in ("postgres", "nobody"):
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        raise AssertionError("root may not run PostgreSQL, and there is no other user")

    @classmethod
    def _tool(cls, name: str) -> Path:
        program = cls.program()
        assert program
        return program.with_name(name)


def in_memory() -> Path | None:
    """Return a folder in memory with room for servers, ``None`` if there is none: disks are slow."""
    folder = Path("/dev/shm")
    try:
        room = shutil.disk_usage(folder).free if os.access(folder, os.W_OK) else 0
    except OSError:
        return None
    return folder if room > ROOM else None


# --- Processes and ports -----------------------------------------------------------------------------------


def processes() -> Iterator[tuple[int, int, str]]:
    """Yield the id, the parent's id and the state of every process."""
    for path in PROC.glob("[0-9]*/stat"):
        try:
            state, parent, *_ = path.read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # It has just ended.
        yield int(path.parent.name), int(parent), state


def state_of(pid: int) -> str:
    """Return a process's state, nothing if it has ended, buried or not."""
    try:
        state = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return "" if state in "ZX" else state


def descendants(pid: int) -> list[int]:
    """Return a process and all that come from it, in the order of their ids."""
    family = {pid}
    table = [(child, parent) for child, parent, state in processes() if state not in "ZX"]
    while grown := {child for child, parent in table if parent in family} - family:
        family |= grown
    return sorted(family)


def stop_all(pid: int) -> list[int]:
    """Stop a process and all that come from it; return their ids."""
    family: list[int] = []
    # Who stands still has no more children.
    while (found := descendants(pid)) != family:
        family = found
        send(signal.SIGSTOP, family)
        eventually(lambda: all(state_of(p) in ("", "T", "t") for p in found), "it does not stop")
    return family


def send(number: signal.Signals, pids: list[int]) -> None:
    """Send a signal to processes; those that have ended need none."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def eventually(condition: Callable[[], object], failure: str, seconds: float = PATIENCE) -> None:
    """Wait until a fact about something outside of this process is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.01)


_ports: set[int] = set()
"""Those that were given away: a server that is down needs its own when it comes back."""

_ports_lock = threading.Lock()


def free_port() -> int:
    """Return a port that nobody uses, and that the kernel gives to nobody by itself.

    Where nobody listens, a client of the same machine could otherwise be given this very port, and connect to
    itself; or keep the server from coming back.
    """
    try:
        first, last = map(int, (PROC / "sys/net/ipv4/ip_local_port_range").read_text().split())
    except OSError:
        first, last = 32768, 60999
    ports = range(10000, first) or range(last + 1, 65536) or range(10000, 65536)
    while True:
        port = random.choice(ports)
        with socket.socket() as sock, _ports_lock:
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            if port not in _ports:
                _ports.add(port)
                return port


def outlive(pid: int, folder: str) -> None:
    """Wait until the process that started this one is gone, and end the server that it has left."""
    sys.stdin.read()
    send(signal.SIGKILL, stop_all(pid))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    outlive(int(sys.argv[1]), sys.argv[2])
