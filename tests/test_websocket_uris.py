"""How the URIs of WebSockets are spelled and joined, and what is refused."""

import pickle

import pytest

from pool._runtime.websocket_books import Books
from pool._runtime.websocket_uris import normal, whole
from pool._runtime.websocket_words import UndecodableError, decoded


@pytest.mark.parametrize(
    ("uri", "spelled"),
    [
        ("ws://Example.ORG", "ws://example.org/"),
        ("WS://example.org:80/", "ws://example.org/"),
        ("wss://example.org:443/a?b=C", "wss://example.org/a?b=C"),
        ("ws://example.org:443/a", "ws://example.org:443/a"),
        ("wss://example.org:80", "wss://example.org:80/"),
        ("ws://example.org?x", "ws://example.org/?x"),
        ("ws://[::1]:80/A", "ws://[::1]/A"),
        ("ws://[FE80::1]:8080/A", "ws://[fe80::1]:8080/A"),
        ("ws://User:Pass@Example.org/", "ws://User:Pass@example.org/"),
        ("ws://bücher.example/ä?ö", "ws://xn--bcher-kva.example/%C3%A4?%C3%B6"),
        ("ws://example.org/a%20b", "ws://example.org/a%20b"),
    ],
)
def test_spelling(uri: str, spelled: str) -> None:
    """One URI for all that lead to the same, and it stays as it is."""
    assert normal(uri) == spelled
    assert normal(spelled) == spelled


@pytest.mark.parametrize(
    ("base", "path", "joined"),
    [
        ("ws://h/v1/", "quotes", "ws://h/v1/quotes"),
        ("ws://h/v1", "quotes", "ws://h/quotes"),
        ("wss://h/v1/", "/quotes", "wss://h/quotes"),
        ("wss://h:9000/v1/", "../quotes?x=1", "wss://h:9000/quotes?x=1"),
        ("ws://h/v1/", "", "ws://h/v1/"),
        ("ws://h/v1/", "?x=1", "ws://h/v1/?x=1"),
        ("wss://h/v1/", "//Other/x", "wss://other/x"),
        ("ws://h/v1/", "wss://other/x", "wss://other/x"),
        ("ws://h/v1/", "ws://H:80/v1/quotes", "ws://h/v1/quotes"),
        (None, "ws://H", "ws://h/"),
    ],
)
def test_joining(base: str | None, path: str, joined: str) -> None:
    """As urljoin does; a path and its whole URI are one endpoint."""
    assert whole(base, path) == joined


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("http://h/", "the scheme must be ws or wss, not 'http'"),
        ("h:80/x", "the scheme must be ws or wss, not 'h'"),
        ("ws:///x", "the host is missing"),
        ("ws:x", "the host is missing"),
        ("ws://h/x#y", "has no fragment"),
        ("ws://h/x#", "has no fragment"),
        ("ws://h:0/", "the port must be from 1 to 65535, not 0"),
        ("ws://h:66000/", "is no URI: Port out of range"),
        ("ws://h:x/", "is no URI: Port could not be cast"),
        ("ws://[::1/", "is no URI: Invalid IPv6 URL"),
        ("ws://x[::1]/", "IPv6|brackets"),
        ("ws://[::1]x/", "IPv6|brackets"),
        ("ws://[v1.x]/", "IPv6"),
        ("ws://user@h/", "a user without a password"),
        ("ws://h/a b", "neither blanks nor control characters"),
        ("ws://h/a\r\nb", "neither blanks nor control characters"),
        ("/x", "is a path: without base_uri"),
        ("//h/x", "is a path: without base_uri"),
        ("", "is a path: without base_uri"),
    ],
)
def test_refused(uri: str, text: str) -> None:
    """What is no URI of a WebSocket is refused, and said."""
    with pytest.raises(ValueError, match=text):
        whole(None, uri)


@pytest.mark.parametrize("path", ["x#y", "a b", "http://h/"])
def test_refused_beside_a_base(path: str) -> None:
    """A base makes nothing good that is wrong."""
    with pytest.raises(ValueError, match=r"fragment|blanks|scheme"):
        whole("ws://h/", path)


@pytest.mark.parametrize("uri", [None, 1, b"ws://h/", ("h", 80)])
def test_wrong_type(uri: object) -> None:
    """A URI is a str."""
    for base in (None, "ws://h/"):
        with pytest.raises(TypeError, match="uri must be a str"):
            whole(base, uri)


def test_undecodable_is_a_value() -> None:
    """The error keeps the text, in another process as well."""
    with pytest.raises(UndecodableError, match="is no JSON") as caught:
        decoded("{")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.text, str(again)) == ("{", str(caught.value))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 100_000, "", "'a'"])
def test_no_json(text: str) -> None:
    """Neither what only Python takes for JSON nor what is too deep."""
    with pytest.raises(UndecodableError) as caught:
        decoded(text)
    assert caught.value.text == text
    assert len(str(caught.value)) < 300


def test_counts_are_bounded() -> None:
    """A pool that sees ever new URIs remembers the last ones, and all totals."""
    books = Books()
    for number in range(5000):
        uri = f"ws://h/{number}"
        books.opened(uri)
        books.lost(uri)
        books.opened(uri)
    assert books.look("ws://h/4999") == (0, 0, 1)
    assert books.look("ws://h/0") == (0, 0, 0)
    assert books.look(None) == (0, 0, 5000)
