"""The core of a topology, for asyncio."""

from pool._core.topology import TopologyCore

__all__ = ["TopologyGuard", "topology_guard"]

#: What ``topology_guard`` returns.
TopologyGuard = TopologyCore


def topology_guard(core: TopologyCore) -> TopologyGuard:
    """Return the core itself: on one event loop, code between awaits is atomic."""
    return core
