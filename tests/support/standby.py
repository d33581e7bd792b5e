"""A streaming replica of a real PostgreSQL, and the primary that it can follow."""

import shutil
import subprocess
from pathlib import Path

from support.real import PATIENCE, PostgresServer, eventually

__all__ = ["PostgresPrimary", "PostgresStandby"]


class PostgresPrimary(PostgresServer):
    """A PostgreSQL that others can follow."""

    def command(self) -> list[str | Path]:
        settings = {
            "wal_level": "replica",
            "max_wal_senders": 4,
            "hot_standby": "on",
            # Milliseconds; a follower that is killed comes back at once.
            "wal_retrieve_retry_interval": 100,
            "wal_keep_size": "64MB",
            "unix_socket_directories": self.folder,
        }
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*super().command(), *words]

    def ask(self, query: str) -> str:
        """Return what a query gives, as text."""
        words = [str(self._tool("psql")), "-X", "-A", "-t", "-c", query, self.conninfo("observer")]
        return subprocess.check_output(words, timeout=PATIENCE, text=True).strip()


class PostgresStandby(PostgresPrimary):
    """A PostgreSQL that follows another one until it is promoted.

    Parameters:
        primary: whom it follows; it must run when this starts for the first time.
    """

    def __init__(self, primary: PostgresPrimary) -> None:
        super().__init__()
        self._primary = primary

    def _initialize(self) -> None:
        self.log.touch()
        for path in (self.folder, self.log):
            identity = self.identity()
            if identity:
                shutil.chown(path, identity["user"], identity["group"])
        words = ["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"]
        result = subprocess.run(
            [self._tool("pg_basebackup"), *words, "-D", self._data, "-d", self._primary.conninfo()],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
            **self.identity(),
        )
        assert result.returncode == 0, f"pg_basebackup failed:\n{result.stdout}{result.stderr}"

    def synced(self) -> bool:
        """Return whether it has everything that its primary has now."""
        end = self._primary.ask("SELECT pg_current_wal_lsn()")
        return self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{end}'::pg_lsn") == "t"

    def promote(self) -> None:
        """Make it a primary, and wait until it is one."""
        assert self.ask("SELECT pg_promote()") == "t"
        eventually(lambda: self.ask("SELECT pg_is_in_recovery()") == "f", "it is not promoted")
