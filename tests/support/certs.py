"""Certificates made at test time, and the TLS contexts of both ends."""

import ssl
from datetime import UTC, datetime
from functools import cache

import trustme


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def _certificate(name: str, expired: bool) -> trustme.LeafCert:
    end = datetime(2020, 1, 1, tzinfo=UTC) if expired else None
    return authority().issue_cert(name, not_after=end)


def server_context(
    name: str = "127.0.0.1", *, expired: bool = False, alpn: tuple[str, ...] = ()
) -> ssl.SSLContext:
    """Return the context of a server whose certificate is for ``name``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate(name, expired).configure_cert(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def client_context(*, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """Return a context that checks certificates and trusts the authority of these tests."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
