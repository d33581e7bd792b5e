"""Redis servers that follow each other."""

import socket
from pathlib import Path
from typing import Any

from support.real import HOST, RedisServer, eventually

__all__ = ["RedisMember", "Sentinel", "redis_info"]


class RedisMember(RedisServer):
    """A Redis server that can follow another, and notices quickly what happens to it.

    Parameters:
        primary: whom it follows from its start.
        options: more words for its command line, such as ``"--requirepass", "secret"``.
        password: what the test itself needs to speak with it.
    """

    def __init__(
        self,
        primary: RedisServer | None = None,
        options: tuple[str, ...] = (),
        password: str | None = None,
    ) -> None:
        super().__init__()
        self.primary = primary
        self._options = options
        self._password = password

    def command(self) -> list[str | Path]:
        words = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        # Else it has data of its own after a restart: the file with its first synchronization.
        words += ["--repl-timeout", "5", "--rdb-del-sync-files", "yes"]
        if self.primary is not None:
            words += ["--replicaof", HOST, str(self.primary.port)]
        return [*super().command(), *words, *self._options]

    def renew(self, primary: RedisServer | None = None) -> None:
        """Start it afresh, as a replica of this one or as a primary that never was anything else."""
        self.kill()
        self.primary = primary
        self.start()

    def promote(self) -> None:
        """Make it a primary."""
        self.primary = None
        assert self.ask("REPLICAOF NO ONE") == b"OK"

    def follow(self, other: RedisServer) -> None:
        """Make it a replica."""
        self.primary = other
        assert self.ask(f"REPLICAOF {HOST} {other.port}") == b"OK"

    def synced(self) -> bool:
        """Return whether it is a replica that has all that its primary had a moment ago."""
        assert isinstance(self.primary, RedisMember)
        theirs, mine = redis_info(self.primary), redis_info(self)
        return mine.get("master_link_status") == "up" and (
            mine["slave_repl_offset"] >= theirs["master_repl_offset"]
            and mine["master_replid"] == theirs["master_replid"]
        )

    def wait_synced(self) -> None:
        """Wait until it is."""
        eventually(self.synced, "a replica does not follow its primary")

    def wait_orphaned(self) -> None:
        """Wait until it has noticed that its primary is gone."""
        eventually(
            lambda: redis_info(self)["master_link_status"] == "down", "its primary is still there"
        )

    def ask(self, command: str) -> bytes:
        """Send a command without blanks in its arguments, and return a simple reply."""
        return self._ask(command.encode())

    def _ask(self, command: bytes) -> bytes:
        if self._password is None:
            return super()._ask(command)
        with socket.create_connection((HOST, self.port), 2.0) as sock:
            sock.sendall(b"AUTH %s\r\n%s\r\n" % (self._password.encode(), command))
            with sock.makefile("rb") as replies:
                replies.readline()
                line = replies.readline().strip()
                return replies.read(int(line[1:])) if line[:1] == b"$" else line[1:]


class Sentinel(RedisServer):
    """A server that watches others; this one has nobody to watch."""

    def command(self) -> list[str | Path]:
        # It writes to its configuration.
        config = self.folder / "sentinel.conf"
        config.touch()
        program, *words = super().command()
        return [program, config, *words[:4], "--sentinel"]


def redis_info(server: RedisMember, section: str = "replication") -> dict[str, Any]:
    """Return a section of INFO, with numbers as such."""
    lines = server.ask(f"INFO {section}").decode().splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key: int(text) if text.lstrip("-").isdecimal() else text for key, text in pairs}
