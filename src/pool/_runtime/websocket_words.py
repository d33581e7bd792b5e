"""What goes over a WebSocket, and what was wished for: the same in both worlds."""

import json
import select
from collections.abc import Iterable, Mapping, Sequence
from socket import socket
from ssl import SSLContext
from typing import Any, NamedTuple, NoReturn

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import ProtocolError
from websockets.extensions.base import ClientExtensionFactory
from websockets.extensions.permessage_deflate import enable_client_permessage_deflate
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.headers import validate_subprotocols
from websockets.typing import Subprotocol

__all__ = [
    "BITE",
    "Protocol",
    "UndecodableError",
    "UnsendableError",
    "Wishes",
    "decoded",
    "encoded",
    "extensions_for",
    "has_come",
    "is_context",
    "make_wishes",
]


BITE = 16384
"""Bytes that the library gets at once. Unpacked they may be a thousand times as many, before it can see that
its queue is full. Not less than a record of TLS: what is left of one would not be seen in the kernel."""


# Of one message. An empty one counts nothing against the size of the message.
_FRAGMENTS = 4096


class Protocol(ClientProtocol):
    """The library's, with a limit for the fragments of a message: before version 17 there is none."""

    _fragments = 0

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode in DATA_OPCODES:
            self._fragments = self._fragments + 1 if frame.opcode is Opcode.CONT else 1
            if self._fragments > _FRAGMENTS:
                raise ProtocolError(f"more than {_FRAGMENTS} fragments of a message")
        super().recv_frame(frame)


class UnsendableError(TypeError, ValueError):
    """A message that cannot be sent. Nothing was: the connection is as good as before."""


class UndecodableError(ValueError):
    """A text came that is no JSON, to a pool made with ``json=True``.

    Attributes:
        text: what came.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text

    def __reduce__(self) -> "tuple[type[UndecodableError], tuple[str, str]]":
        return type(self), (str(self), self.text)


def encoded(message: object) -> tuple[bytes | bytearray, bool]:
    """Return a message as it is sent, and whether that is text.

    Raises:
        UnsendableError: JSON cannot express it, or Unicode cannot.
    """
    if isinstance(message, bytes | bytearray):
        return message, False
    try:
        if isinstance(message, memoryview):
            # The library takes the length of a view for its number of bytes.
            return message.tobytes(), False
        if not isinstance(message, str):
            message = _dumps(message)
        return message.encode(), True
    except (TypeError, ValueError, RecursionError) as error:
        raise UnsendableError(f"{_shown(message)} cannot be sent: {error}") from error


def decoded(text: str) -> Any:
    """Return what JSON text means.

    Raises:
        UndecodableError: it is none.
    """
    try:
        return _loads(text)
    except (ValueError, RecursionError) as error:
        raise UndecodableError(f"{_shown(text)} is no JSON: {error}", text) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


_dumps = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
_loads = json.JSONDecoder(parse_constant=_no_constant).decode


def _shown(thing: object) -> str:
    if not isinstance(thing, str):
        return f"a message of type {type(thing).__name__}"
    return ascii(thing) if len(thing) <= 80 else f"{thing[:80]!a}…"


class Wishes(NamedTuple):
    """What every connection of a manager is opened with."""

    headers: list[tuple[str, str]]
    subprotocols: list[Subprotocol] | None
    max_message_size: int
    max_queue: int
    compression: str | None


def make_wishes(
    headers: object,
    subprotocols: object,
    max_message_size: object,
    max_queue: object,
    compression: object,
) -> Wishes:
    """Check the options of a manager, and return them as they are used.

    Raises:
        TypeError: one has a wrong type.
        ValueError: one has a wrong value.
    """
    for name, number in (("max_message_size", max_message_size), ("max_queue", max_queue)):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{name} must be a whole number, not {number!r}")
        if number < 1:
            raise ValueError(f"{name} must be at least 1, not {number!r}")
    if compression is not None and compression != "deflate":
        raise ValueError(f"compression must be 'deflate' or None, not {compression!r}")
    assert isinstance(max_message_size, int)
    assert isinstance(max_queue, int)
    return Wishes(
        _headers(headers), _subprotocols(subprotocols), max_message_size, max_queue, compression
    )


def _headers(headers: object) -> list[tuple[str, str]]:
    if headers is None:
        return []
    if isinstance(headers, str | bytes) or not isinstance(headers, Mapping | Iterable):
        raise TypeError(f"headers must be a mapping or pairs of str, not {headers!r}")
    given = headers.raw_items() if isinstance(headers, Headers) else headers
    pairs = list(given.items() if isinstance(given, Mapping) else given)
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"headers must be a mapping or pairs of str, not {headers!r}")
        for text in pair:
            if not isinstance(text, str):
                raise TypeError(f"a header must be a str, not {text!r}, in {pair!r}")
            if any(character in text for character in "\r\n\0"):
                raise ValueError(f"a header must be one line: {pair!r}")
    return [(name, value) for name, value in pairs]


def _subprotocols(subprotocols: object) -> list[Subprotocol] | None:
    if subprotocols is None:
        return None
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Sequence):
        raise TypeError(f"subprotocols must be a sequence of str, not {subprotocols!r}")
    for name in subprotocols:
        if not isinstance(name, str):
            raise TypeError(f"a subprotocol must be a str, not {name!r}")
    found = [Subprotocol(name) for name in subprotocols]
    try:
        validate_subprotocols(found)
    except Exception as error:
        raise ValueError(f"subprotocols={subprotocols!r}: {error}") from error
    return found or None


def extensions_for(wishes: Wishes) -> Sequence[ClientExtensionFactory] | None:
    """Return the extensions that were wished for, new ones for each connection."""
    return enable_client_permessage_deflate(None) if wishes.compression else None


def has_come(sock: socket) -> bool:
    """Return whether the kernel has something for a socket, its end included, that nobody has read."""
    number = sock.fileno()
    if number < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])


def is_context(thing: object) -> bool:
    """Return whether a thing is an ``ssl.SSLContext``."""
    return isinstance(thing, SSLContext)
