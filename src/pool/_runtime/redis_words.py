"""What is said to Redis and what its refusals mean, the same in both worlds. Needs redis-py."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis

__all__ = [
    "SENSITIVE",
    "UNFIT_WORDS",
    "UNREADY",
    "UnfitError",
    "code_of",
    "refusal",
    "unfit",
    "upper",
    "words",
]

_ACL = "CAT DELUSER DRYRUN GENPASS GETUSER HELP LIST LOAD LOG SAVE SETUSER USERS WHOAMI"
_CONFIG = "GET HELP RESETSTAT REWRITE SET"

SENSITIVE: Final = frozenset(
    {
        *("auth", "hello", "migrate", "acl", "config"),
        *(f"acl {word.lower()}" for word in _ACL.split()),
        *(f"config {word.lower()}" for word in _CONFIG.split()),
    }
)
"""The names of commands with secrets in them or in the replies to them."""

_CONTAINERS: Final = frozenset(
    {
        *("CLIENT", "CLUSTER", "COMMAND", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "MODULE"),
        *("OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"),
    }
)
"""Commands whose names may have a second word, beside those that are sensitive."""

_UNFIT: Final = {
    **dict.fromkeys(
        (
            *("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"),
            *("SUNSUBSCRIBE", "MONITOR", "SYNC", "PSYNC", "REPLCONF", "CLIENT REPLY"),
        ),
        "it does not get one reply",
    ),
    **dict.fromkeys(
        (
            *("MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "SELECT", "AUTH", "HELLO", "RESET"),
            *("QUIT", "ASKING", "READONLY", "READWRITE", "CLIENT TRACKING", "CLIENT CACHING"),
            *("CLIENT NO-EVICT", "CLIENT NO-TOUCH", "CLIENT SETNAME", "SCRIPT DEBUG"),
        ),
        "it is about this one connection, which the next caller shares",
    ),
}
"""What cannot be sent alone on a connection of a pool, and why."""

UNFIT_WORDS: Final = frozenset(head.partition(" ")[0] for head in _UNFIT)
"""The words with which those begin."""


UNREADY: Final = frozenset({"LOADING", "MASTERDOWN"})
"""What a server says to a PING if it is there, but does not serve ordinary commands now."""


class UnfitError(ValueError):
    """A command that was not sent: nothing happened on the connection."""


def words(command: Mapping[str, Any]) -> list[Any]:
    """Return the words of a command as they are sent.

    Raises:
        ValueError: it is none, or cannot be sent on a connection of a pool.
    """
    given: object = command
    if not isinstance(given, Mapping) or not given:
        raise UnfitError('a command must be a mapping such as {"SET": ["key", "value"]}')
    (name, argument), *further = given.items()
    if further:
        names = ", ".join(repr(key) for key, _ in further)
        raise UnfitError(f"a command has one key, its name; options are arguments: not {names}")
    parts = _parts(name)
    arguments = (
        [] if argument is None else argument if isinstance(argument, (list, tuple)) else [argument]
    )
    for position, word in enumerate(arguments, 1):
        kind = type(word)
        if kind is bool or not isinstance(word, (str, bytes, bytearray, int, float)):
            # The value may be a secret.
            raise UnfitError(
                f"argument {position} of {name} must be a str, bytes, an int or a float, "
                f"not of type {kind.__name__}"
            )
    sent = [*parts, *(bytes(a) if isinstance(a, bytearray) else a for a in arguments)]
    if found := unfit(sent):
        head, reason = found
        raise UnfitError(f"{head} cannot be sent through a pool: {reason}")
    return sent


def unfit(sent: Sequence[Any]) -> tuple[str, str] | None:
    """Return what a command is called that cannot be sent alone on a connection of a pool, and why."""
    heads = [upper(part) for part in sent[:2]]
    for head in (heads[0], " ".join(heads)):
        if reason := _UNFIT.get(head):
            return head, reason
    return None


def _parts(name: object) -> list[str]:
    """Return the words of a command's name: it must not hide arguments from those who look at it."""
    if not isinstance(name, str) or not name:
        raise UnfitError(f"a command's name must be a str, not {name!r}")
    parts = name.split(" ")
    if "".join(name.split()) != "".join(parts) or not all(parts):
        raise UnfitError("the words of a command's name are separated by one space")
    first = parts[0].upper()
    known = name.lower() in SENSITIVE or (len(parts) == 2 and first in _CONTAINERS)
    if len(parts) > 1 and not known:
        raise UnfitError(f"the arguments of {first} must not be part of its name")
    return parts


def upper(word: object) -> str:
    """Return a word of a command in capitals, nothing if it is no text."""
    if isinstance(word, bytes):
        word = word.decode("utf-8", "replace")
    return word.upper() if isinstance(word, str) else ""


def refusal(error: Exception) -> Exception:
    """Return an error reply as a ``ResponseError``.

    For some of them redis-py has a ``ConnectionError``, upon which it closes the connection; but all is well
    with a connection over which the server has said no.
    """
    if isinstance(error, redis.ConnectionError):
        return redis.ResponseError(*error.args, status_code=error.status_code)
    return error


def code_of(error: redis.ResponseError) -> tuple[str, str]:
    """Return the code of an error reply, such as ``WRONGTYPE``, and its text without it."""
    text = str(error)
    if error.status_code:
        return error.status_code, text
    code, _, rest = text.partition(" ")
    return (code, rest) if code.isupper() else ("ERR", text)
