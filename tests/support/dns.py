"""A real name server for the tests of both worlds: a UDP port on loopback and a thread.

Its records and its mode may be changed while it runs; they count from the next query on.
"""

import socket
import threading
import time
from types import TracebackType
from typing import Literal, Self, TypeVar

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.resolver import BaseResolver

#: Seconds after which somebody who asks never will have done.
PATIENCE = 20.0

Mode = Literal["answer", "nxdomain", "servfail", "silent", "empty"]
Record = tuple[int, int, int, str]

ResolverT = TypeVar("ResolverT", bound=BaseResolver)


class DnsServer:
    """Answers queries for SRV records; what it has no records of does not exist.

    Attributes:
        records: for each name, without the dot at its end, ``(priority, weight, port, target)``.
        ttl: how long they hold, in seconds.
        mode: ``"answer"``; or what else it does, whatever is asked: ``"nxdomain"`` (no such name),
            ``"empty"`` (no such records), ``"servfail"``, ``"silent"``.
        queries: how many there have been.
    """

    def __init__(self, records: dict[str, list[Record]] | None = None, ttl: int = 60) -> None:
        self.records: dict[str, list[Record]] = {} if records is None else records
        self.ttl = ttl
        self.mode: Mode = "answer"
        self.queries = 0
        self._closed = False
        self._unanswered: list[tuple[bytes, tuple[str, int]]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="name server", daemon=True)

    def resolver(self, kind: type[ResolverT]) -> ResolverT:
        """Return a resolver of either world, ``kind``, that asks this server and no other."""
        resolver = kind(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self.port
        return resolver

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whoever was given no answer in pool.sync asks on in a thread of his: let him come to his end here,
        # with the answer he waits for, else it takes the seconds after which he asks again.
        self.mode = "answer"
        deadline = time.monotonic() + PATIENCE
        while any(thread.name.startswith("look up") for thread in threading.enumerate()):
            while self._unanswered:
                data, client = self._unanswered.pop()
                self._socket.sendto(self._answer(data), client)
            assert time.monotonic() < deadline, "somebody asks for ever"
            time.sleep(0.005)
        self._closed = True
        # Closing a socket does not wake who waits for it: a datagram does.
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            data, client = self._socket.recvfrom(65535)
            if self._closed:
                return
            self.queries += 1
            if self.mode == "silent":
                self._unanswered.append((data, client))
            else:
                self._socket.sendto(self._answer(data), client)

    def _answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        (question,) = query.question
        records = self.records.get(question.name.to_text(omit_final_dot=True))
        if self.mode == "servfail":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif self.mode == "nxdomain" or (records is None and self.mode == "answer"):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif self.mode == "answer" and records and question.rdtype == dns.rdatatype.SRV:
            lines = [" ".join(map(str, record)) for record in records]
            answer.answer.append(
                dns.rrset.from_text_list(question.name, self.ttl, "IN", "SRV", lines)
            )
        return answer.to_wire()
