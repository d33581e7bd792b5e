"""One of the clocks goes on while the machine is suspended, where there is such a clock."""

import sys
import time
from collections.abc import Callable

import pytest

from pool._runtime import aio, sync
from pool._runtime.clock import _best, clock, elapsed

BOOT, MONOTONIC = 7, 6


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the machine be another one: its name, and the clocks that can be read there."""

    def be(name: str, *, has: tuple[str, ...] = (), works: bool = True) -> None:
        def read(number: int) -> float:
            if not works:
                raise OSError(22, "Invalid argument")
            return float(number)

        monkeypatch.setattr(sys, "platform", name)
        monkeypatch.setattr(time, "clock_gettime", read, raising=False)
        for attribute, number in (("CLOCK_BOOTTIME", BOOT), ("CLOCK_MONOTONIC", MONOTONIC)):
            if attribute in has:
                monkeypatch.setattr(time, attribute, number, raising=False)
            else:
                monkeypatch.delattr(time, attribute, raising=False)

    return be


def test_linux(platform: Callable[..., None]) -> None:
    """``CLOCK_MONOTONIC`` stands still there while it is suspended, ``CLOCK_BOOTTIME`` does not."""
    platform("linux", has=("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"))
    assert _best()() == BOOT


def test_a_linux_that_has_none(platform: Callable[..., None]) -> None:
    """An old libc does not know it."""
    platform("linux", has=("CLOCK_MONOTONIC",))
    assert _best() is time.monotonic


def test_a_linux_that_forbids_it(platform: Callable[..., None]) -> None:
    """A sandbox may."""
    platform("linux", has=("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"), works=False)
    assert _best() is time.monotonic


def test_macos(platform: Callable[..., None]) -> None:
    """There ``CLOCK_MONOTONIC`` goes on, and ``time.monotonic`` reads another one."""
    platform("darwin", has=("CLOCK_MONOTONIC",))
    assert _best()() == MONOTONIC


def test_a_macos_that_is_too_old(platform: Callable[..., None]) -> None:
    """What cannot be read is not used."""
    platform("darwin", has=("CLOCK_MONOTONIC",), works=False)
    assert _best() is time.monotonic


@pytest.mark.parametrize("name", ["win32", "freebsd14", "emscripten"])
def test_others(name: str, platform: Callable[..., None]) -> None:
    """Whatever they have is asked for as anywhere."""
    platform(name)
    assert _best() is time.monotonic


@pytest.mark.parametrize("read", [clock, elapsed])
def test_this_one(read: Callable[[], float]) -> None:
    """It runs forward, at the pace of any other."""
    first, then = read(), time.monotonic()
    while time.monotonic() < then + 0.01:
        assert read() >= first
    assert read() - first == pytest.approx(time.monotonic() - then, abs=0.5)


def test_both_worlds_read_the_same() -> None:
    """Times of one may be compared with those of the other."""
    assert aio.clock is sync.clock is clock


def test_the_workers_clock_goes_on() -> None:
    """On the systems that have one; it is how a worker finds out that the machine was suspended."""
    assert (elapsed is time.monotonic) == (sys.platform not in ("linux", "darwin"))
