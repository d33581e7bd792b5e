"""The core of a pool of shared connections, for asyncio."""

from pool._core.shared import SharedCore

__all__ = ["SharedGuard", "shared_guard"]

#: What ``shared_guard`` returns.
SharedGuard = SharedCore


def shared_guard(core: SharedCore) -> SharedGuard:
    """Return the core itself: on one event loop, code between awaits is atomic."""
    return core
