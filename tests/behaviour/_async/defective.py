"""Managers of a small protocol over TCP: one that is right, and one for each defect, named by it.

The server answers ``PING`` with ``PONG``, a line each.
"""

import os
import time
from collections.abc import Hashable
from typing import Any

from pool.aio import Stream, TcpConnectionManager
from support.servers import Peer

__all__ = ["DEFECTS", "IN_ONE_WORLD", "Right", "answer"]

Endpoint = tuple[str, int]


def answer(peer: Peer) -> None:
    """Answer as the protocol says, until the end."""
    for line in peer.sock.makefile("rb"):
        if line == b"PING\n":
            peer.send(b"PONG\n")


class Right(TcpConnectionManager):
    """Does all that it should."""

    def __init__(self) -> None:
        super().__init__()
        self.greeting: list[Stream] = []
        """Those that somebody waits for, so that ``interrupt`` finds them."""
        self.descriptors: list[int] = []
        """Those that a defect leaves open, for the test to close."""

    async def create(self, endpoint: Endpoint, timeout: float | None) -> Stream:
        deadline = None if timeout is None else time.monotonic() + timeout
        stream = await super().create(endpoint, timeout)
        try:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            await self.greet(stream, left)
        except BaseException:
            stream.abort()
            raise
        return stream

    async def greet(self, stream: Stream, timeout: float | None) -> None:
        self.greeting.append(stream)
        try:
            await stream.send(b"PING\n", timeout=timeout)
            assert await stream.receive_exactly(5, timeout=timeout) == b"PONG\n"
        finally:
            self.greeting.remove(stream)

    async def check_aliveness(
        self, endpoint: Endpoint, conn: Stream, timeout: float | None
    ) -> bool:
        await self.greet(conn, timeout)
        return True

    def can_reuse(self, endpoint: Endpoint, conn: Stream, error: BaseException) -> bool:
        return isinstance(error, ValueError)

    def interrupt(self, endpoint: Endpoint, conn: Stream | None) -> None:
        super().interrupt(endpoint, conn)
        if conn is None:
            for stream in list(self.greeting):
                stream.interrupt()

    def service_id(self, endpoint: Endpoint, conn: Stream) -> Hashable | None:
        return "service"

    def __repr__(self) -> str:
        return type(self).__name__


class TakesNoTimeout(Right):
    async def create(self, endpoint: Endpoint) -> Stream:  # type: ignore[override]
        return await super().create(endpoint, None)


class CannotConnect(Right):
    async def create(self, endpoint: Endpoint, timeout: float | None) -> Stream:
        raise PermissionError("wrong password")


class CreatesNothing(Right):
    async def create(self, endpoint: Endpoint, timeout: float | None) -> Any:
        await (await super().create(endpoint, timeout)).close()

    async def dispose(self, endpoint: Endpoint, conn: Any, timeout: float | None) -> None:
        pass


class KeepsOneConnection(Right):
    """Gives the same connection to everybody who goes straight to the server."""

    only: Stream | None = None

    async def create(self, endpoint: Endpoint, timeout: float | None) -> Stream:
        if self.only is None or self.only.raw.fileno() == -1 or not self.only.is_alive():
            self.only = await super().create(endpoint, timeout)
        return self.only


class SaysYes(Right):
    async def check_aliveness(self, endpoint: Endpoint, conn: Stream, timeout: float | None) -> Any:
        return "yes" if conn.is_alive() else False


class AlwaysAlive(Right):
    async def check_aliveness(
        self, endpoint: Endpoint, conn: Stream, timeout: float | None
    ) -> bool:
        return True


class NeverAlive(Right):
    async def check_aliveness(
        self, endpoint: Endpoint, conn: Stream, timeout: float | None
    ) -> bool:
        return False


class BreaksAtRelease(Right):
    async def on_release(self, endpoint: Endpoint, conn: Stream) -> None:
        conn.interrupt()


class FailsAtSecondAcquire(Right):
    seen: Stream | None = None

    async def on_acquire(self, endpoint: Endpoint, conn: Stream) -> None:
        if self.seen is conn:
            raise RuntimeError("acquired already")
        self.seen = conn


class CannotTell(Right):
    def can_reuse(self, endpoint: Endpoint, conn: Stream, error: BaseException) -> Any:
        return None


class RaisesWhenAsked(Right):
    def can_reuse(self, endpoint: Endpoint, conn: Stream, error: BaseException) -> bool:
        raise error


class AsksTheServer(Right):
    def can_reuse(self, endpoint: Endpoint, conn: Stream, error: BaseException) -> bool:
        return conn.raw.send(b"PING\n") == 5


class CannotBeHashed(Right):
    def service_id(self, endpoint: Endpoint, conn: Stream) -> Any:
        return ["service"]


class NeverCloses(Right):
    async def dispose(self, endpoint: Endpoint, conn: Stream, timeout: float | None) -> None:
        self.descriptors.append(os.dup(conn.raw.fileno()))
        await super().dispose(endpoint, conn, timeout)


class FailsToCloseWhatIsBroken(Right):
    async def dispose(self, endpoint: Endpoint, conn: Stream, timeout: float | None) -> None:
        try:
            await conn.send(b"QUIT\n", timeout=timeout)
            if not conn.is_alive():
                raise BrokenPipeError("cannot say goodbye")
        finally:
            await super().dispose(endpoint, conn, timeout)


class WaitsToSayGoodbye(Right):
    """Whatever happens, it asks again."""

    async def dispose(self, endpoint: Endpoint, conn: Stream, timeout: float | None) -> None:
        try:
            await conn.send(b"PING\n")
            await conn.receive_exactly(5)
        except BaseException:
            if conn.is_alive():
                await conn.receive()
        finally:
            conn.abort()


class InterruptsSlowly(Right):
    def interrupt(self, endpoint: Endpoint, conn: Stream | None) -> None:
        time.sleep(0.7)
        super().interrupt(endpoint, conn)


class InterruptsOnce(Right):
    def interrupt(self, endpoint: Endpoint, conn: Stream | None) -> None:
        if conn is not None and conn.raw.fileno() == -1:
            raise OSError("it is closed")
        super().interrupt(endpoint, conn)


class InterruptsNothing(Right):
    def interrupt(self, endpoint: Endpoint, conn: Stream | None) -> None:
        pass


class CreatesHoweverLong(Right):
    """Whatever happens, it tries again."""

    async def create(self, endpoint: Endpoint, timeout: float | None) -> Stream:
        try:
            return await super().create(endpoint, None)
        except ConnectionRefusedError:
            raise
        except BaseException:
            await (await super().create(endpoint, None)).close()
            raise OSError("too late by now") from None


class ChecksHoweverLong(Right):
    """Whatever happens, it asks again."""

    async def check_aliveness(
        self, endpoint: Endpoint, conn: Stream, timeout: float | None
    ) -> bool:
        try:
            await self.greet(conn, None)
        except BaseException:
            if conn.is_alive():
                await conn.receive()
            return False
        return True


class ConnectsToNobody(Right):
    async def create(self, endpoint: Endpoint, timeout: float | None) -> Any:
        try:
            return await super().create(endpoint, timeout)
        except ConnectionRefusedError:
            return "not connected"

    async def dispose(self, endpoint: Endpoint, conn: Any, timeout: float | None) -> None:
        if isinstance(conn, Stream):
            await super().dispose(endpoint, conn, timeout)


class ForgetsWhenItFails(Right):
    async def create(self, endpoint: Endpoint, timeout: float | None) -> Stream:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.descriptors.append(descriptor)
        stream = await super().create(endpoint, timeout)
        os.close(descriptor)
        self.descriptors.remove(descriptor)
        return stream


class Refused(BaseException):
    pass


class RaisesWhatIsNoException(Right):
    async def create(self, endpoint: Endpoint, timeout: float | None) -> Stream:
        try:
            return await super().create(endpoint, timeout)
        except OSError as error:
            raise Refused(str(error)) from error


#: What each of them fails in, and what is said of it. ``Right`` comes first.
DEFECTS: dict[type[Right], dict[str, str]] = {
    Right: {},
    TakesNoTimeout: {
        "every hook can be called as the pool calls it": "create is called with 2 arguments: ",
    },
    CannotConnect: {
        "create opens a connection": r"create raised PermissionError\('wrong password'\)",
    },
    CreatesNothing: {"create opens a connection": "create returned None, which means"},
    KeepsOneConnection: {
        "each create opens another one": "create returned the same connection twice",
    },
    SaysYes: {"a fresh connection is alive": "check_aliveness returned 'yes', which is no bool"},
    AlwaysAlive: {
        "a connection that was disposed of is dead": "for a connection that was disposed of",
        "a connection that the server closed is dead": "True after the server had closed",
        "a connection that the server reset is dead": "True after the server had reset",
        "a connection that was interrupted is dead": "for a connection that was interrupted",
    },
    NeverAlive: {
        "a fresh connection is alive": "check_aliveness returned False for a fresh connection",
        "on_acquire and on_release can be repeated": "is dead after on_acquire and on_release",
    },
    BreaksAtRelease: {
        "on_acquire and on_release can be repeated": "is dead after on_acquire and on_release",
    },
    FailsAtSecondAcquire: {
        "on_acquire and on_release can be repeated": r"on_acquire raised RuntimeError\('acquired",
    },
    CannotTell: {"can_reuse answers at once, with a bool": "can_reuse returned None, which is no"},
    RaisesWhenAsked: {
        "can_reuse answers at once, with a bool": r"can_reuse raised ValueError\('said by",
        "can_reuse says nothing to the server": r"can_reuse raised ValueError\('said by",
    },
    AsksTheServer: {"can_reuse says nothing to the server": "can_reuse sent something"},
    CannotBeHashed: {"service_id answers at once": r"returned \['service'\], which cannot be"},
    NeverCloses: {"dispose closes the connection": r"dispose left file descriptors open: \d+ \("},
    FailsToCloseWhatIsBroken: {
        "dispose takes a connection that was reset": "dispose raised ConnectionResetError",
        "dispose takes a connection that was interrupted": "dispose raised ConnectionAborted",
    },
    WaitsToSayGoodbye: {"dispose keeps its timeout": "dispose took no notice of its timeout of"},
    InterruptsSlowly: {
        "interrupt never blocks, and may come late": r"interrupt blocked for 0\.\d s",
        "a connection that was interrupted is dead": "interrupt blocked",
        "dispose takes a connection that was interrupted": "interrupt blocked",
        "interrupt ends a check_aliveness that hangs": "interrupt blocked",
        "a create that hangs can be broken off": "interrupt blocked",
    },
    InterruptsOnce: {
        "interrupt never blocks, and may come late": r"interrupt raised OSError\('it is closed'\)",
    },
    InterruptsNothing: {
        "a connection that was interrupted is dead": "for a connection that was interrupted",
        "interrupt ends a check_aliveness that hangs": "interrupt did not end a check_aliveness",
    },
    CreatesHoweverLong: {
        "create keeps its timeout while it connects": "create took no notice of its timeout",
        "create keeps its timeout when the server is silent": "create took no notice of its",
        "a create whose time is up leaves nothing open": "create took no notice of its timeout",
    },
    ChecksHoweverLong: {
        "check_aliveness keeps its timeout": "check_aliveness took no notice of its timeout",
    },
    ConnectsToNobody: {"create fails where nobody is": "create returned 'not connected' at"},
    ForgetsWhenItFails: {
        "a create that fails leaves nothing open": r"left file descriptors open: \d+ \(/dev/null\)",
        "a create whose time is up leaves nothing open": r"left .* open: \d+ \(/dev/null\)",
    },
    RaisesWhatIsNoException: {"create fails where nobody is": "which is no Exception"},
}

#: What some of them fail in as well in that one of the worlds where it can be checked.
IN_ONE_WORLD: dict[type[Right], set[str]] = {
    NeverCloses: {"a create that is cancelled leaves nothing open"},
    ForgetsWhenItFails: {"a create that is cancelled leaves nothing open"},
    CreatesHoweverLong: {
        "a create that hangs can be broken off",
        "a create that is cancelled leaves nothing open",
    },
    InterruptsNothing: {"a create that hangs can be broken off"},
    RaisesWhatIsNoException: {"a create that is cancelled leaves nothing open"},
}
