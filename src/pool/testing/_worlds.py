"""Which of the two worlds is meant, for those who import from ``pool.testing`` itself."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from os import PathLike
from typing import Any, TypedDict, Unpack, overload

from pool import aio, sync
from pool._async.manager import ConnectionT, EndpointT
from pool.testing import aio as aio_kit
from pool.testing import sync as sync_kit
from pool.testing._faults import Odds
from pool.testing._record import Expectation, Recording
from pool.testing._report import ConformanceReport

__all__ = ["ChaosManager", "EventRecorder", "check_manager"]


class ChaosOptions(Odds, total=False):
    """What both kinds of ``ChaosManager`` are made with, beside the manager and the seed."""

    delay_time: float
    hang_limit: float | None


class CheckOptions(TypedDict, total=False):
    """What both kinds of ``check_manager`` take, beside the manager and the endpoint."""

    server: tuple[str, int] | str | PathLike[str] | None
    via: Callable[[str, int], Hashable] | None
    bad_endpoint: Hashable | None
    short: float
    patience: float
    strict: bool


@overload
def ChaosManager(
    manager: aio.ConnectionManager[EndpointT, ConnectionT],
    seed: object = None,
    **options: Unpack[ChaosOptions],
) -> aio_kit.ChaosManager[EndpointT, ConnectionT]: ...
@overload
def ChaosManager(
    manager: sync.ConnectionManager[EndpointT, ConnectionT],
    seed: object = None,
    **options: Unpack[ChaosOptions],
) -> sync_kit.ChaosManager[EndpointT, ConnectionT]: ...
def ChaosManager(  # noqa: N802  # it stands for two classes
    manager: Any, seed: object = None, **options: Unpack[ChaosOptions]
) -> Any:
    """Wrap a manager of either world, as the ``ChaosManager`` of that world.

    Raises:
        TypeError: it is no manager.
    """
    return _kit_for(manager).ChaosManager(manager, seed, **options)


@overload
def check_manager(
    manager: aio.ConnectionManager[Any, Any], endpoint: Hashable, **options: Unpack[CheckOptions]
) -> Coroutine[Any, Any, ConformanceReport]: ...
@overload
def check_manager(
    manager: sync.ConnectionManager[Any, Any], endpoint: Hashable, **options: Unpack[CheckOptions]
) -> ConformanceReport: ...
def check_manager(manager: Any, endpoint: Hashable, **options: Unpack[CheckOptions]) -> Any:
    """Check a manager of either world, as the ``check_manager`` of that world; to be awaited if that one is.

    Raises:
        TypeError: it is no manager.
    """
    return _kit_for(manager).check_manager(manager, endpoint, **options)


class EventRecorder(Recording):
    """An ``EventRecorder`` of both worlds."""

    def wait_for(self, event: Expectation, count: int = 1, timeout: float | None = 10.0) -> Any:
        """Wait as the one of ``pool.testing.aio`` where an event loop runs: to be awaited; else it blocks."""
        recorder: Any = self
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return sync_kit.EventRecorder.wait_for(recorder, event, count, timeout)
        return aio_kit.EventRecorder.wait_for(recorder, event, count, timeout)


def _kit_for(manager: object) -> Any:
    if isinstance(manager, aio.ConnectionManager):
        return aio_kit
    if isinstance(manager, sync.ConnectionManager):
        return sync_kit
    raise TypeError(f"neither a pool.aio nor a pool.sync ConnectionManager: {manager!r}")
