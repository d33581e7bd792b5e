"""Streams: receiving, sending and ending, over TCP, TLS and Unix sockets."""

import socket
import ssl
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pool.aio import Stream, TcpConnectionManager, UnixConnectionManager
from support.aio_net import start, until
from support.certs import client_context, server_context
from support.servers import Peer, Server, in_thread, wait_readable

Pair = tuple[Stream, Peer]

MANY = bytes(range(256)) * 32 * 1024  # 8 MiB


@pytest.fixture(params=["tcp", "tls", "unix"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """A stream of each kind and the other end of it."""
    kind = request.param
    path = tmp_path / "socket" if kind == "unix" else None
    with Server(path=path, tls=server_context() if kind == "tls" else None) as server:
        manager: Any = UnixConnectionManager()
        if kind != "unix":
            manager = TcpConnectionManager(ssl=client_context() if kind == "tls" else None)
        async with await manager.create(server.endpoint, 20.0) as stream:
            yield stream, server.accept()


def is_encrypted(stream: Stream) -> bool:
    return isinstance(stream.raw, ssl.SSLSocket)


# --- Receiving ---


async def test_both_directions(pair: Pair) -> None:
    """What one end sends, the other receives."""
    stream, peer = pair
    await stream.send(b"ping\r\n")
    assert peer.receive(6) == b"ping\r\n"
    peer.send(b"pong\r\n")
    assert await stream.receive() == b"pong\r\n"


async def test_receive_at_most(pair: Pair) -> None:
    """``receive`` returns no more than asked for, and keeps the rest."""
    stream, peer = pair
    peer.send(b"abcdef")
    assert await stream.receive(4) == b"abcd"
    assert await stream.receive_exactly(1) == b"e"
    assert await stream.receive(4) == b"f"


async def test_end(pair: Pair) -> None:
    """At the end there is ``b""``, however often one asks."""
    stream, peer = pair
    peer.send(b"last words")
    peer.close()
    assert await stream.receive_exactly(10) == b"last words"
    assert await stream.receive() == b""
    assert await stream.receive() == b""
    assert "ended by the peer" in repr(stream)


async def test_half_closed(pair: Pair) -> None:
    """A peer that ended its own direction can still be sent to."""
    stream, peer = pair
    if is_encrypted(stream):
        peer.say_goodbye()
    else:
        peer.half_close()
    assert await stream.receive() == b""
    await stream.send(b"still here")
    assert peer.receive(10) == b"still here"


async def test_reset(pair: Pair) -> None:
    """A peer that resets the connection is an ``OSError``, to a receiver and to a sender."""
    stream, peer = pair
    await stream.send(b"unread, so that a Unix socket is reset as well")
    peer.reset()
    with pytest.raises(ConnectionResetError):
        await stream.receive()
    with pytest.raises(OSError, match=r".+"):
        await stream.send(b"hello?")


async def test_receive_exactly_over_packets(pair: Pair) -> None:
    """``receive_exactly`` waits for all of it and keeps what is over."""
    stream, peer = pair
    peer.send(b"abc")
    call = await start(stream.receive_exactly, 5)
    await until(lambda: "3 bytes buffered" in repr(stream))
    peer.send(b"defgh")
    assert await call.outcome() == b"abcde"
    assert await stream.receive_exactly(0) == b""
    assert await stream.receive_exactly(3) == b"fgh"


async def test_receive_exactly_ended(pair: Pair) -> None:
    """An end too early is an ``EOFError`` with what came, which is not given again."""
    stream, peer = pair
    peer.send(b"abc")
    peer.close()
    with pytest.raises(EOFError, match="ended after 3 of 5 bytes") as caught:
        await stream.receive_exactly(5)
    assert getattr(caught.value, "partial", None) == b"abc"
    assert await stream.receive() == b""


async def test_receive_until(pair: Pair) -> None:
    """``receive_until`` cuts messages, separator included, out of however many come at once."""
    stream, peer = pair
    peer.send(b"one\r\ntwo\r\n\r\nthr")
    assert await stream.receive_until(b"\r\n", 100) == b"one\r\n"
    assert await stream.receive_until(b"\r\n", 100) == b"two\r\n"
    assert await stream.receive_until(b"\r\n", 100) == b"\r\n"
    peer.send(b"ee\r\n")
    assert await stream.receive_until(b"\r\n", 100) == b"three\r\n"


async def test_separator_over_packets(pair: Pair) -> None:
    """A separator is found whatever packets it comes in."""
    stream, peer = pair
    call = await start(stream.receive_until, b"-END-", 100)
    text = "-EN-EN-END-"
    for count, letter in enumerate(text, start=1):
        peer.send(letter.encode())
        if count < len(text):
            # The one who receives has it before the next is sent.
            await until(lambda: f" {count} bytes buffered" in repr(stream))  # noqa: B023
    assert await call.outcome() == text.encode()


async def test_receive_until_limit(pair: Pair) -> None:
    """Exactly ``max_bytes`` is allowed; one more raises ``ValueError`` and nothing is lost."""
    stream, peer = pair
    peer.send(b"abc\nabcd\nrest")
    assert await stream.receive_until(b"\n", 4) == b"abc\n"
    with pytest.raises(ValueError, match=r"no b'\\n' within 4 bytes"):
        await stream.receive_until(b"\n", 4)
    assert await stream.receive_until(b"\n", 5) == b"abcd\n"
    assert await stream.receive_exactly(4) == b"rest"


async def test_receive_until_limit_cuts_the_separator(pair: Pair) -> None:
    """A separator that begins within the limit and ends after it is too far away."""
    stream, peer = pair
    peer.send(b"abc\r\n")
    with pytest.raises(ValueError, match="within 4 bytes"):
        await stream.receive_until(b"\r\n", 4)
    assert await stream.receive_until(b"\r\n", 5) == b"abc\r\n"


async def test_receive_until_ended(pair: Pair) -> None:
    """An end before the separator is an ``EOFError`` with what came."""
    stream, peer = pair
    peer.send(b"no newlin")
    peer.close()
    with pytest.raises(EOFError, match="ended after 9 bytes") as caught:
        await stream.receive_until(b"\n", 100)
    assert getattr(caught.value, "partial", None) == b"no newlin"


async def test_wrong_arguments(pair: Pair) -> None:
    """Arguments that make no sense are refused by name, and nothing is lost."""
    stream, peer = pair
    wrong: Any = "\n"
    with pytest.raises(ValueError, match="separator must not be empty"):
        await stream.receive_until(b"", 100)
    with pytest.raises(TypeError, match=r"separator must be bytes, not '\\n'"):
        await stream.receive_until(wrong, 100)
    with pytest.raises(ValueError, match="max_bytes must be at least 2, not 1"):
        await stream.receive_until(b"\r\n", 1)
    with pytest.raises(ValueError, match="max_bytes must be at least 1, not 0"):
        await stream.receive(0)
    with pytest.raises(ValueError, match="n must be at least 0, not -1"):
        await stream.receive_exactly(-1)
    with pytest.raises(TypeError, match="n must be an int, not True"):
        await stream.receive_exactly(True)
    with pytest.raises(TypeError, match="bytes-like"):
        await stream.send(wrong)
    peer.send(b"fine")
    assert await stream.receive_exactly(4) == b"fine"


async def test_receive_timeout(pair: Pair) -> None:
    """A receive that timed out has lost nothing."""
    stream, peer = pair
    with pytest.raises(TimeoutError, match=r"the receive took over 0\.01 s"):
        await stream.receive(timeout=0.01)
    peer.send(b"abc")
    with pytest.raises(TimeoutError):
        await stream.receive_exactly(6, timeout=0.05)
    with pytest.raises(TimeoutError):
        await stream.receive_until(b"f", 100, timeout=0.05)
    peer.send(b"def")
    assert await stream.receive_exactly(6, timeout=20.0) == b"abcdef"


async def test_timeout_of_a_trickle(pair: Pair) -> None:
    """The timeout is for the whole call, not for each byte; and what did come is kept."""
    stream, peer = pair
    stop = Event()
    with in_thread(lambda: peer.trickle(stop)) as sent:
        with pytest.raises(TimeoutError):
            await stream.receive_exactly(10**6, timeout=0.1)
        stop.set()
    (count,) = sent
    assert isinstance(count, int)
    assert await stream.receive_exactly(count) == b"." * count


# --- Sending ---


async def test_large_transfers(pair: Pair) -> None:
    """Megabytes go both ways at once, in as many parts as the kernel likes."""
    stream, peer = pair
    with in_thread(peer.echo):
        sending = await start(stream.send, MANY)
        assert await stream.receive_exactly(len(MANY)) == MANY
        await sending.outcome()
        await stream.close()


async def test_send_any_bytes(pair: Pair) -> None:
    """Everything that is bytes-like can be sent, nothing too."""
    stream, peer = pair
    await stream.send(b"")
    await stream.send(bytearray(b"ab"))
    await stream.send(memoryview(b"cd"))
    await stream.send(memoryview(array("H", [0x6565, 0x6666])))
    assert peer.receive(8) == b"abcdeeff"


async def test_send_timeout(pair: Pair) -> None:
    """A send that ended early leaves a stream that can send no more, and says so."""
    stream, _ = pair
    with pytest.raises(TimeoutError, match=r"the send took over 0\.05 s"):
        await stream.send(bytes(64 * 2**20), timeout=0.05)
    with pytest.raises(BrokenPipeError, match=r"an earlier send to .+ ended early"):
        await stream.send(b"more")
    assert "a send ended early" in repr(stream)
    assert not stream.is_alive()


# --- Two at once ---


async def test_two_receivers(pair: Pair) -> None:
    """A second receiver is refused; the first gets everything."""
    stream, peer = pair
    call = await start(stream.receive_exactly, 6)
    await until(lambda: "receiving" in repr(stream))
    with pytest.raises(RuntimeError, match="another receive is in progress"):
        await stream.receive()
    with pytest.raises(RuntimeError, match="another receive is in progress"):
        await stream.receive_exactly(1)
    with pytest.raises(RuntimeError, match="another receive is in progress"):
        await stream.receive_until(b"-", 9)
    assert not stream.is_alive()
    peer.send(b"abcdef")
    assert await call.outcome() == b"abcdef"


async def test_two_senders(pair: Pair) -> None:
    """A second sender is refused; the first sends everything."""
    stream, peer = pair
    call = await start(stream.send, MANY)
    await until(lambda: "sending" in repr(stream))
    with pytest.raises(RuntimeError, match="another send is in progress"):
        await stream.send(b"between")
    assert not stream.is_alive()
    with in_thread(lambda: peer.receive(len(MANY))) as received:
        await call.outcome()
    assert received == [MANY]
    assert stream.is_alive()


# --- Interrupting and closing ---


async def test_interrupt_a_receive(pair: Pair) -> None:
    """An interrupted receive fails at once, as does everything later, and the stream is not closed."""
    stream, peer = pair
    call = await start(stream.receive)
    await until(lambda: "receiving" in repr(stream))
    stream.interrupt()
    with pytest.raises(ConnectionAbortedError, match="was interrupted"):
        await call.outcome()
    with pytest.raises(ConnectionAbortedError):
        await stream.receive()
    with pytest.raises(ConnectionAbortedError):
        await stream.send(b"anybody?")
    assert not stream.is_alive()
    assert "interrupted" in repr(stream)
    assert stream.raw.fileno() >= 0
    assert peer.ending() in ("end", "cut")


async def test_interrupt_a_send(pair: Pair) -> None:
    """An interrupted send fails at once."""
    stream, _ = pair
    call = await start(stream.send, bytes(64 * 2**20))
    await until(lambda: "sending" in repr(stream))
    stream.interrupt()
    with pytest.raises(ConnectionAbortedError, match="was interrupted"):
        await call.outcome()


async def test_interrupt_both(pair: Pair) -> None:
    """A receiver and a sender at the same time both fail."""
    stream, _ = pair
    receiving = await start(stream.receive_exactly, 10)
    sending = await start(stream.send, bytes(2**26))
    await until(lambda: "receiving, sending" in repr(stream))
    stream.interrupt()
    with pytest.raises(ConnectionAbortedError):
        await receiving.outcome()
    with pytest.raises(ConnectionAbortedError):
        await sending.outcome()


async def test_close_under_a_receive(pair: Pair) -> None:
    """Closing ends a receive of somebody else, and the descriptor is released."""
    stream, _ = pair
    call = await start(stream.receive)
    await until(lambda: "receiving" in repr(stream))
    await stream.close()
    with pytest.raises(OSError, match="is closed"):
        await call.outcome()
    assert stream.raw.fileno() == -1


async def test_close(pair: Pair) -> None:
    """A closed stream says so; closing twice is fine; the peer sees a proper end."""
    stream, peer = pair
    await stream.close()
    await stream.close()
    stream.abort()
    stream.interrupt()
    assert stream.raw.fileno() == -1
    assert peer.ending() == "end"
    with pytest.raises(OSError, match="is closed"):
        await stream.receive()
    with pytest.raises(OSError, match="is closed"):
        await stream.send(b"anybody?")
    assert not stream.is_alive()
    assert ": closed" in repr(stream)


async def test_abort(pair: Pair) -> None:
    """Aborting releases the descriptor without a word."""
    stream, peer = pair
    stream.abort()
    assert stream.raw.fileno() == -1
    # Unread session tickets may turn the end into a reset.
    assert peer.ending() in (("cut", "reset") if is_encrypted(stream) else ("end",))


async def test_last_words_arrive(pair: Pair) -> None:
    """What was sent last arrives, although something unread is there when the stream is closed."""
    stream, peer = pair
    peer.send(b"never read")
    wait_readable(stream.raw)
    await stream.send(b"quit\r\n")
    await stream.close()
    assert peer.receive(6) == b"quit\r\n"
    assert peer.ending() == "end"


# --- Facts ---


async def test_facts(pair: Pair) -> None:
    """``peer``, ``tls``, ``raw`` and ``repr`` tell the truth."""
    stream, peer = pair
    assert stream.peer == peer.sock.getsockname()
    assert isinstance(stream.raw, socket.socket)
    assert not stream.raw.getblocking()
    name = stream.peer if isinstance(stream.peer, str) else f"127.0.0.1:{stream.peer[1]}"
    assert bool(stream.tls) is is_encrypted(stream)
    if stream.tls:
        assert stream.tls.version == "TLSv1.3"
        assert stream.tls.cipher.startswith("TLS_")
        assert stream.tls.alpn is None
        assert stream.tls.server_hostname == "127.0.0.1"
        assert repr(stream) == f"<Stream to {name}: open, TLSv1.3>"
    else:
        assert repr(stream) == f"<Stream to {name}: open>"
