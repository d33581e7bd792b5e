"""Commands and replies as bytes, by hiredis, the same in both worlds: for connections that many share."""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

from typing import Any, Final

import redis
from redis._parsers.base import BaseParser

from pool._runtime.redis_words import UNFIT_WORDS, UnfitError, refusal, unfit, upper

try:
    import hiredis
except ModuleNotFoundError as error:
    if error.name != "hiredis":
        raise
    # Other connections do without it.
    hiredis = None  # type: ignore[assignment]

__all__ = ["Replies", "decoded", "packed", "require", "sendable"]

_MORE: Final = object()
"""What the reader gives while a reply is not complete."""

_BLOCKING: Final = frozenset(
    {
        *("BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"),
        *("WAIT", "WAITAOF"),
    }
)
_MAY_BLOCK: Final = frozenset({"XREAD", "XREADGROUP"})

_SUSPECT: Final = UNFIT_WORDS | _BLOCKING | _MAY_BLOCK
_PLAIN: Final = frozenset({str, bytes, int, float})


def require() -> None:
    """Do nothing if hiredis is there.

    Raises:
        ImportError: it is not.
    """
    if hiredis is None:
        raise ImportError(
            "PipelinedRedisManager needs hiredis, which is not installed: "
            "pip install 'twinpool[redis]'"
        )


class Replies:
    """Cuts what a server says into replies. Errors among them are returned, not raised."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(
            protocolError=redis.InvalidResponse, replyError=_error, notEnoughData=_MORE
        )

    def feed(self, data: bytes) -> list[Any]:
        """Return what is complete by now.

        Raises:
            redis.InvalidResponse: it is not the protocol.
        """
        self._reader.feed(data)
        found = []
        while (reply := self._reader.gets()) is not _MORE:
            found.append(reply)
        return found

    def has_part(self) -> bool:
        """Return whether a part of a reply is there."""
        return bool(self._reader.has_data())


def _error(text: str) -> Exception:
    return refusal(BaseParser.parse_error(text))


def decoded(reply: Any) -> Any:
    """Return a reply with ``str`` for ``bytes``.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    if isinstance(reply, bytes):
        return reply.decode()
    return [decoded(part) for part in reply] if isinstance(reply, list) else reply


def sendable(command: tuple[Any, ...]) -> bytes:
    """Return a command as it is sent on a connection that others use at the same time.

    Raises:
        UnfitError: it cannot be.
    """
    words = _words(command)
    if upper(words[0]) in _SUSPECT:
        _refuse(words)
    return _joined(words)


def packed(command: tuple[Any, ...]) -> bytes:
    """Return a command as it is sent, whatever it does.

    Raises:
        UnfitError: it cannot be.
    """
    return _joined(_words(command))


def _words(command: tuple[Any, ...]) -> tuple[Any, ...]:
    if not command:
        raise UnfitError("a command must have a name")
    first = command[0]
    if not isinstance(first, (str, bytes)):
        raise UnfitError(
            f"a command's name must be a str or bytes, not of type {type(first).__name__}"
        )
    # As redis-py does: "CONFIG GET" are two words.
    parts = first.split()
    if not parts:
        raise UnfitError(f"a command must have a name, not {first!r}")
    return command if len(parts) == 1 and parts[0] == first else (*parts, *command[1:])


def _joined(words: tuple[Any, ...]) -> bytes:
    for word in words:
        if type(word) not in _PLAIN:
            words = tuple(_plain(place, given) for place, given in enumerate(words))
            break
    try:
        return bytes(hiredis.pack_command(words))
    except UnicodeError as error:
        raise UnfitError(str(error)) from None


def _plain(position: int, word: Any) -> Any:
    if isinstance(word, (bytearray, memoryview)):
        return bytes(word)
    if isinstance(word, bool) or not isinstance(word, (str, bytes, int, float)):
        # The value may be a secret.
        raise UnfitError(
            f"argument {position} of a command must be a str, bytes, an int or a float, "
            f"not of type {type(word).__name__}"
        )
    return word


def _refuse(words: tuple[Any, ...]) -> None:
    found = unfit(words)
    head = upper(words[0])
    if found is None and (head in _BLOCKING or (head in _MAY_BLOCK and _blocks(words))):
        found = head, "it would hold up everybody else's replies"
    if found is not None:
        raise UnfitError(f"{found[0]} cannot be sent on a connection that others share: {found[1]}")


def _blocks(words: tuple[Any, ...]) -> bool:
    for word in words[1:]:
        option = upper(word)
        if option == "BLOCK":
            return True
        if option == "STREAMS":
            break
    return False
