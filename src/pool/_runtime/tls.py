"""TLS over a non-blocking socket, for both worlds. Imported when a manager asks for TLS, not before."""

import errno
import os
import ssl
from dataclasses import dataclass
from threading import Lock

from pool._runtime.sockets import Channel, Want

__all__ = ["Tls", "TlsChannel", "context_for"]


@dataclass(frozen=True, slots=True)
class Tls:
    """What was agreed upon in a TLS handshake. The certificate: ``stream.raw.getpeercert()``.

    Attributes:
        version: such as ``"TLSv1.3"``.
        cipher: such as ``"TLS_AES_256_GCM_SHA384"``.
        alpn: the application protocol, ``None`` if none was negotiated.
        server_hostname: the name that was asked for and that the certificate was checked against.
    """

    version: str
    cipher: str
    alpn: str | None
    server_hostname: str


def context_for(setting: object) -> ssl.SSLContext | None:
    """Return the context that the value of an ``ssl`` parameter asks for.

    Raises:
        TypeError: it is nothing of what is allowed.
    """
    if setting is None or setting is False:
        return None
    if setting is True:
        return ssl.create_default_context()
    if isinstance(setting, ssl.SSLContext):
        return setting
    raise TypeError(f"ssl must be a bool, an ssl.SSLContext or None, not {setting!r}")


class TlsChannel(Channel):
    """A channel that speaks TLS; it takes the socket over from a connected one.

    An ``SSLSocket`` does not suffer two threads at once, hence a lock around each of its calls. They do not
    wait, so nobody waits long for the lock.
    """

    __slots__ = ("_tls_lock",)

    sock: ssl.SSLSocket

    def __init__(self, context: ssl.SSLContext, plain: Channel, server_hostname: str) -> None:
        self._tls_lock = Lock()
        try:
            sock = context.wrap_socket(
                plain.sock,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
                server_hostname=server_hostname,
            )
        except BaseException as error:
            _close_orphan(error)
            raise
        super().__init__(sock)

    def handshake(self) -> Want | None:
        """Go on with the handshake; ``None`` once it is complete."""
        with self._tls_lock:
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return Want.READ
            except ssl.SSLWantWriteError:
                return Want.WRITE
        return None

    def agreed(self) -> Tls:
        """Return what the handshake led to."""
        cipher = self.sock.cipher()
        return Tls(
            version=self.sock.version() or "",
            cipher=cipher[0] if cipher else "",
            alpn=self.sock.selected_alpn_protocol(),
            server_hostname=str(self.sock.server_hostname or ""),
        )

    def receive(self, max_bytes: int) -> bytes | Want:
        """Take up to ``max_bytes`` of application data; ``b""`` at the end.

        What only TLS itself is interested in, such as a session ticket, is dealt with on the way.
        """
        with self._tls_lock:
            try:
                return self.sock.recv(max_bytes)
            except ssl.SSLWantReadError:
                return Want.READ
            except ssl.SSLWantWriteError:
                return Want.WRITE
            except ssl.SSLEOFError as error:
                return self._end_without_goodbye(error)

    def _end_without_goodbye(self, error: ssl.SSLEOFError) -> bytes:
        """Many a peer saves itself the goodbye. But Python before 3.12.3 also takes a reset for that."""
        if error.reason != "UNEXPECTED_EOF_WHILE_READING":
            try:
                self.sock.getpeername()
            except OSError:
                raise ConnectionResetError(
                    errno.ECONNRESET, os.strerror(errno.ECONNRESET)
                ) from None
        return b""

    def send(self, data: memoryview) -> int | Want:
        """Encrypt and give bytes to the kernel, and return how many it took."""
        with self._tls_lock:
            try:
                return self.sock.send(data)
            except ssl.SSLWantReadError:
                return Want.READ
            except ssl.SSLWantWriteError:
                return Want.WRITE

    def _say_goodbye(self) -> None:
        try:
            # Sends close_notify. The peer's own is not waited for: the connection ends here.
            self.sock.unwrap()
        except (OSError, ValueError):
            pass
        super()._say_goodbye()


def _close_orphan(error: BaseException) -> None:
    """Close the socket that ``wrap_socket`` has made of another one, and left open when it failed."""
    traceback = error.__traceback__
    while traceback is not None:
        orphan = traceback.tb_frame.f_locals.get("self")
        if isinstance(orphan, ssl.SSLSocket):
            orphan.close()
        traceback = traceback.tb_next
