"""URIs of WebSockets in one spelling: an endpoint is a whole URI, and its text is its identity."""

import re
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

__all__ = ["normal", "whole"]

_PORTS = {"ws": 80, "wss": 443}

# What stands for itself in a path or a query; the percent sign since it may be quoted already.
_PLAIN = ":/?#[]@!$&'()*+,;=%~"

_BRACKETS = re.compile(r"\[[^\[\]]+\](:[0-9]*)?")


def whole(base: str | None, uri: object) -> str:
    """Return the whole URI for a path or a URI, as ``normal`` does.

    Parameters:
        base: what a path is joined with, as ``urllib.parse.urljoin`` does; ``None`` if there is nothing.
        uri: a path or a whole URI.

    Raises:
        TypeError: it is no ``str``.
        ValueError: it is a path and there is no base, or no URI of a WebSocket.
    """
    if not isinstance(uri, str):
        raise TypeError(f"uri must be a str, not {uri!r}")
    if base is not None:
        _printable(uri)
        return normal(urljoin(base, uri))
    if not _split(uri).scheme:
        raise ValueError(
            f"{uri!r} is a path: without base_uri, a whole ws:// or wss:// URI is needed"
        )
    return normal(uri)


def normal(uri: object) -> str:
    """Return a URI in one spelling: scheme and host in lower case, no default port, at least ``/`` as path.

    Raises:
        TypeError: it is no ``str``.
        ValueError: it is no URI of a WebSocket.
    """
    if not isinstance(uri, str):
        raise TypeError(f"a URI must be a str, not {uri!r}")
    parts = _split(uri)
    if parts.scheme not in _PORTS:
        raise ValueError(f"the scheme must be ws or wss, not {parts.scheme!r}, in {uri!r}")
    if "#" in uri:
        raise ValueError(f"the URI of a WebSocket has no fragment: {uri!r}")
    host = parts.hostname
    if not host:
        raise ValueError(f"the host is missing in {uri!r}")
    # The parser drops what stands beside the brackets, and them too.
    place = parts.netloc.rpartition("@")[2]
    if "[" in place and not (":" in host and _BRACKETS.fullmatch(place)):
        raise ValueError(f"the host is no IPv6 address in {uri!r}")
    if parts.username is not None and parts.password is None:
        raise ValueError(f"a user without a password in {uri!r}")
    try:
        port = parts.port
        if not host.isascii():
            host = host.encode("idna").decode()
        for name in (parts.username, parts.password):
            unquote(name or "", errors="strict")
    except ValueError as error:
        raise ValueError(f"{uri!r} is no URI: {error}") from None
    if port == 0:
        raise ValueError(f"the port must be from 1 to 65535, not 0, in {uri!r}")
    if ":" in host:
        host = f"[{host}]"
    user, at, _ = parts.netloc.rpartition("@")
    place = host if port is None or port == _PORTS[parts.scheme] else f"{host}:{port}"
    path = quote(parts.path, safe=_PLAIN) or "/"
    query = f"?{quote(parts.query, safe=_PLAIN)}" if parts.query else ""
    return f"{parts.scheme}://{quote(user, safe=_PLAIN)}{at}{place}{path}{query}"


def _split(uri: str) -> SplitResult:
    _printable(uri)
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise ValueError(f"{uri!r} is no URI: {error}") from None


def _printable(uri: str) -> None:
    # The parser would drop some of these without a word.
    if any(character <= " " or character == "\x7f" for character in uri):
        raise ValueError(f"a URI has neither blanks nor control characters: {uri!r}")
