"""Seeds from DNS: the servers of a service, as its SRV records (RFC 2782) name them."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pool._runtime import aio_dns

__all__ = ["Resolution", "load", "resolve", "srv_name"]

_SCHEME: Final = "srv://"
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a lookup found.

    Attributes:
        addresses: every ``(host, port)`` once, the preferred ones first: by priority, then the greater
            weight, then by name. Empty if the domain says that it has no such service.
        ttl: for how many seconds that holds.
    """

    addresses: tuple[tuple[str, int], ...]
    ttl: float


def srv_name(seeds: str) -> str:
    """Return the name to look up, ``"_redis._tcp.example"`` for ``"srv://_redis._tcp.example"``.

    Raises:
        TypeError: it does not begin with ``srv://``.
        ValueError: what follows is no name of a service.
    """
    if not seeds.startswith(_SCHEME):
        raise TypeError(
            "seeds must be a sequence of endpoints or a name such as "
            f"'srv://_redis._tcp.example', not {_shown(seeds)}"
        )
    name = seeds.removeprefix(_SCHEME).removesuffix(".")
    if problem := _problem(name):
        raise ValueError(
            f"seeds must be 'srv://_service._proto.domain', not {_shown(seeds)}: {problem}"
        )
    return name


def _shown(seeds: str) -> str:
    """Return the value for an error's text, without the credentials that a URL may have."""
    return re.sub(r"(?<=://).*@", "***@", repr(seeds))


def _problem(name: str) -> str | None:
    """Return what is wrong with the name of a service, if anything is."""
    if not name:
        return "the name is missing"
    if "@" in name:
        return "it has no place for credentials"
    if "/" in name or "?" in name or "#" in name:
        return "it has no place for a path or options"
    if ":" in name:
        return "it has no place for a port, which the records tell"
    if len(name) > 253:
        return f"a name has at most 253 characters, not {len(name)}"
    labels = name.split(".")
    for label in labels:
        if len(label) > 63:
            return f"a label has at most 63 characters, not {len(label)}"
        if not _LABEL.fullmatch(label):
            return f"the label {label!r} is malformed"
    if len(labels) < 3 or not all(len(label) > 1 and label[0] == "_" for label in labels[:2]):
        return "it has to begin with a service and a protocol, such as _redis._tcp"
    return None


def load() -> None:
    """Load dnspython, which takes long the first time.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import dns.asyncresolver  # noqa: F401  # loaded here, used in resolve
    except ImportError as error:
        raise ImportError("srv:// seeds need dnspython: pip install 'twinpool[srv]'") from error


async def resolve(name: str, timeout: float | None, resolver: object | None = None) -> Resolution:
    """Look the servers of a service up.

    Parameters:
        name: as ``srv_name`` returns it.
        timeout: seconds until it fails, ``None`` for the resolver's own limit (dnspython: 5 seconds).
        resolver: ``None`` for the system's name servers, as they are set now; or whatever has the
            ``resolve`` of a ``dns.asyncresolver.Resolver``.

    Raises:
        TimeoutError: the time is up.
        OSError: there is no such name, it has no SRV records, or no server tells. Its cause says more.
        ImportError: dnspython is not installed.
    """
    load()
    from dns.asyncresolver import Resolver
    from dns.exception import DNSException, Timeout

    try:
        chosen = Resolver() if resolver is None else resolver
        answer = await aio_dns.ask(chosen, name, timeout)
    except (Timeout, TimeoutError) as error:
        limit = "in time" if timeout is None else f"within {timeout:g} seconds"
        raise TimeoutError(f"no answer {limit} to what SRV records {name} has") from error
    except DNSException as error:
        raise OSError(f"could not look up the SRV records of {name}: {error}") from error
    if answer.rrset is None:
        raise OSError(f"{name} has no SRV records")
    return Resolution(_addresses(answer.rrset), float(answer.rrset.ttl))


def _addresses(records: Any) -> tuple[tuple[str, int], ...]:
    found = []
    for record in records:
        host = record.target.to_text(omit_final_dot=True).lower()
        # The root as a target says that there is no such service.
        if host != ".":
            found.append((record.priority, -record.weight, host, record.port))
    return tuple(dict.fromkeys((host, port) for _, _, host, port in sorted(found)))
