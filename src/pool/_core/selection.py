"""Which of several suitable servers an operation goes to.

As MongoDB's Server Selection specification has it: of those that suit, the ones within the latency window
stay; of two of these, drawn at random, the one with fewer operations is taken.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pool.descriptions import ServerDescription, TopologyDescription

__all__ = ["chosen", "suitable", "window"]


def window(servers: Sequence[ServerDescription], threshold: float) -> list[ServerDescription]:
    """Return those whose round-trip time is at most ``threshold`` seconds longer than the shortest.

    One whose time is not known suits only if nobody's is.
    """
    times = [each.round_trip_time for each in servers if each.round_trip_time is not None]
    if not times:
        return list(servers)
    longest = min(times) + threshold
    return [
        each
        for each in servers
        if each.round_trip_time is not None and each.round_trip_time <= longest
    ]


def suitable(
    selector: Callable[[TopologyDescription], Sequence[ServerDescription]],
    topology: TopologyDescription,
    threshold: float,
) -> list[ServerDescription]:
    """Return the servers that a selector leaves, within the latency window.

    Raises:
        TypeError: it returned something else than a sequence of descriptions.
        ValueError: it returned a server that is not a member.
    """
    found: object = selector(topology)
    if not isinstance(found, Sequence) or isinstance(found, (str, bytes)):
        raise TypeError(
            f"selector must return a sequence of ServerDescription, not {found!r}: {selector!r}"
        )
    for each in found:
        if not isinstance(each, ServerDescription):
            raise TypeError(f"selector must return ServerDescriptions, not {each!r}: {selector!r}")
        if each.address not in topology.servers:
            raise ValueError(
                f"selector returned {each.address!r}, which is no member: {selector!r}"
            )
    return window(found, threshold)


def chosen(
    servers: Sequence[ServerDescription], load: Callable[[Any], int], lot: Callable[[], float]
) -> ServerDescription:
    """Return the less loaded of two at random.

    Parameters:
        servers: those that suit; at least one.
        load: tells how many operations the server at an address has.
        lot: draws a number from 0 to 1, without 1.
    """
    count = len(servers)
    if count == 1:
        return servers[0]
    first = int(lot() * count)
    second = int(lot() * (count - 1))
    if second >= first:
        second += 1
    one, other = servers[first], servers[second]
    return other if load(other.address) < load(one.address) else one
