"""A connection to Redis that any number of callers use at the same time."""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

from collections.abc import Iterable, Sequence
from typing import Any, Final

import redis

from pool._async.streams import Stream
from pool._runtime import aio_net as net
from pool._runtime.aio import Waiter
from pool._runtime.aio_pipeline import core
from pool._runtime.pipeline import Slot
from pool._runtime.redis_wire import Replies, decoded, packed, sendable
from pool._runtime.sockets import CHUNK, Turn, Want
from pool.options import check_seconds

__all__ = ["PipelinedConnection"]

# Calls in a row that found the socket ready before others get a chance to run.
_GREED: Final = 16


class PipelinedConnection:
    """A connection to Redis (RESP2) for any number of callers at once, made by a ``PipelinedRedisManager``.

    Each gets the reply to his own command: replies come in the order of the commands. Who gives up,
    by a cancel or a timeout, harms nobody: his command is not sent if it was not begun, or else its reply
    is thrown away when it comes. An error reply reaches only the one who asked. A broken connection fails
    everybody who waits on it, and everybody later.

    Tasks that share one run on one event loop.

    Parameters:
        stream: what it speaks over; nobody else may use it.
        host: where it leads, for messages.
        port: likewise.
        decode_responses: give replies as ``str`` instead of ``bytes``.
    """

    def __init__(self, stream: Stream, host: str, port: int, decode_responses: bool) -> None:
        self.stream = stream
        self._name = f"{host}:{port}"
        self._decode = decode_responses
        self._core = core()
        self._channel = stream._channel
        self._ready = net.Readiness(self._channel)
        self._receiving = Turn(self._channel, Want.READ)
        self._sending = Turn(self._channel, Want.WRITE)
        self._replies = Replies()
        self._is_plain = stream.tls is None
        self._dry = False
        """Whether the kernel had no more at the last look: then it is waited for first."""

    # --- Asking ---

    async def ask(self, *command: Any, timeout: float | None = None) -> Any:
        """Send one command and return the reply. Any number of callers may do so at once.

        Parameters:
            command: its words, such as ``"SET", "key", "value"``: ``str``, ``bytes``, ``int`` or ``float``.
            timeout: seconds, ``None`` for no limit.

        Raises:
            TypeError: the timeout is no number of seconds. Nothing was sent.
            ValueError: it was not sent: it is no command, or it does not get exactly one reply, or would
                change the connection for others (``SUBSCRIBE``, ``MULTI``, ``SELECT``, …) or hold them up
                (``BLPOP``, ``XREAD … BLOCK``, …).
            redis.ResponseError: the server refuses it.
            redis.ConnectionError: the connection is lost; whether the command was carried out, nobody knows.
            TimeoutError: there was no reply in time; the connection is kept.
            UnicodeDecodeError: the reply is not UTF-8, with ``decode_responses``.
        """
        check_seconds("timeout", timeout)
        now = net.clock()
        slot: Slot[Waiter] = Slot(sendable(command), 1, now)
        await self._follow(slot, None if timeout is None else now + timeout)
        if not slot.done:
            raise self._failure(timeout)
        reply = slot.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return decoded(reply) if self._decode else reply

    async def exchange(
        self, commands: Sequence[tuple[Any, ...]], timeout: float | None, raw: bool = False
    ) -> list[Any]:
        """Send commands at once, whatever they do to the connection, and return the reply to each.

        An error among them is not raised.
        """
        now = net.clock()
        data = b"".join(map(packed, commands))
        slot: Slot[Waiter] = Slot(data, len(commands), now)
        await self._follow(slot, None if timeout is None else now + timeout)
        if not slot.done:
            failure = self._failure(timeout)
            if isinstance(failure, redis.ConnectionError):
                # A server that wants no more clients says so, and hangs up.
                for reply in slot.replies:
                    if isinstance(reply, redis.ResponseError):
                        raise reply from failure
            raise failure
        return slot.replies if raw or not self._decode else decoded(slot.replies)

    async def _follow(self, slot: Slot[Waiter], deadline: float | None) -> None:
        """Do what is to be done until the slot is done, the connection is lost or the time is up."""
        try:
            duty, woken = self._core.begin(slot)
            _wake(woken)
            while duty is not None:
                if duty is Want.WRITE:
                    in_time = await self._write(slot, deadline)
                elif duty is Want.READ:
                    in_time = await self._read(slot, deadline)
                else:
                    in_time = await duty.wait(None if deadline is None else deadline - net.clock())
                if slot.done or not in_time:
                    break
                duty, woken = self._core.turn(slot)
                _wake(woken)
        finally:
            _wake(self._core.leave(slot))

    def _failure(self, timeout: float | None) -> Exception:
        """Return why there is no reply."""
        cause = self._core.lost
        if cause is None:
            return TimeoutError(f"no answer from {self._name} within {timeout or 0:.3f} s")
        # Everybody gets one of his own: a traceback is one caller's.
        why = str(cause) or type(cause).__name__
        failure = redis.ConnectionError(f"the connection to {self._name} is lost: {why}")
        failure.__cause__ = cause
        return failure

    # --- Working for all ---

    async def _write(self, slot: Slot[Waiter], deadline: float | None) -> bool:
        """Send what everybody has to say; false when the time is up."""
        with self._sending:
            if self._core.is_awaited:
                # Many may be about to ask: what they say goes along.
                await net.breathe()
            greed = 0
            while (want := self._send()) is not None:
                greed += 1
                if want is True and greed % _GREED:
                    continue
                must_wait, woken = self._core.held_up(slot)
                _wake(woken)
                if not must_wait:
                    break
                if not isinstance(want, Want):
                    if _is_over(deadline):
                        return False
                    await net.breathe()
                elif not await self._ready.wait(want, deadline):
                    return False
        return True

    def _send(self) -> Want | bool | None:
        """Send once; return whether there is more, or what it waits for."""
        try:
            data = self._core.outgoing()
            if data is None:
                return None
            count = self._channel.send(data)
            if isinstance(count, Want):
                return count
            return True if self._core.sent(count) is not None else None
        except BaseException as error:
            # Nobody knows how much was sent.
            self._fail(error)
            if not isinstance(error, OSError):
                raise
            # It is kept, and its frames need not be.
            error.__traceback__ = None
            return None

    async def _read(self, slot: Slot[Waiter], deadline: float | None) -> bool:
        """Receive replies, for everybody, until the slot is done; false when the time is up."""
        with self._receiving:
            greed = 0
            while not slot.done and self._core.lost is None:
                want = Want.READ if self._dry else self._receive()
                if want is not None:
                    if not await self._ready.wait(want, deadline):
                        return False
                    self._dry = False
                else:
                    greed += 1
                    if greed % _GREED == 0:
                        if _is_over(deadline):
                            return False
                        await net.breathe()
        return True

    def _receive(self) -> Want | None:
        """Receive once, and hand out the replies; or return what that waits for.

        What has left the kernel is with its askers when this returns, or the connection is lost.
        """
        try:
            data = self._channel.receive(CHUNK)
            if isinstance(data, Want):
                return data
            if not data:
                raise ConnectionResetError("the server has hung up")
            self._dry = self._is_plain and len(data) < CHUNK
            _wake(self._core.complete(self._replies.feed(data), net.clock()))
            return None
        except BaseException as error:
            self._fail(error)
            if not isinstance(error, (OSError, redis.RedisError)):
                raise
            error.__traceback__ = None
            return None

    def _fail(self, error: BaseException) -> None:
        """Give up the connection, and tell everybody."""
        if self._channel.interrupted:
            error = ConnectionAbortedError("it was interrupted")
        woken = self._core.fail(error)
        try:
            self.stream.abort()
        finally:
            _wake(woken)

    # --- State and end ---

    @property
    def is_connected(self) -> bool:
        """Whether nothing is known that makes it useless."""
        return self._core.lost is None and not self._channel.interrupted

    @property
    def is_settled(self) -> bool:
        """Whether it is connected, and every reply was read; waits for nothing."""
        self.collect()
        return self.is_connected and not self._core.pending and not self._replies.has_part()

    @property
    def pending(self) -> int:
        """How many commands have got no reply yet; those count whose callers have given up."""
        return self._core.pending

    def silence(self) -> float:
        """Return the seconds for which the server has owed replies and said nothing; 0 if it owes none."""
        self.collect()
        return self._core.silence(net.clock())

    def fileno(self) -> int:
        """Return the socket's file descriptor, -1 once it is closed."""
        return self.stream.fileno()

    def collect(self) -> None:
        """Take in what has come, if nobody is at it: replies to those who have left, or the end."""
        visitor: Slot[Waiter] = Slot(b"", 0, 0.0)
        if not self._core.borrow(visitor):
            return
        try:
            with self._receiving:
                while self._core.lost is None and self._receive() is None:
                    pass
        finally:
            _wake(self._core.leave(visitor))

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it; whoever still waits fails now. Takes no time; with ``nowait`` no word to a TLS server."""
        woken = self._core.fail(ConnectionAbortedError("it was closed"))
        try:
            if nowait:
                self.stream.abort()
            else:
                await self.stream.close()
        finally:
            _wake(woken)

    def __repr__(self) -> str:
        state = "open" if self.is_connected else "lost"
        return f"<PipelinedConnection to {self._name}: {state}, {self.pending} pending>"


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and net.clock() >= deadline


def _wake(waiters: Iterable[Waiter]) -> None:
    for waiter in waiters:
        waiter.wake()
