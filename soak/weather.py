"""What goes wrong between the pools and the servers: proxies and chaos managers, switched by a seed."""

import threading
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from pool.testing import ChaosProxy
from soak.books import Books

__all__ = ["ODDS", "Weather"]

#: How probable it is that a hook of a manager misbehaves, in each call.
ODDS: dict[str, float] = {
    "refuse": 0.01,
    "delay": 0.03,
    "hang": 0.005,
    "reset": 0.01,
    "half_open": 0.003,
    "lie": 0.03,
    "error": 0.005,
}


def _modes(random: Random) -> dict[str, Callable[[ChaosProxy], Any]]:
    """Return what can be done to a proxy, by name."""

    def mode(name: str, value: Any) -> Callable[[ChaosProxy], Any]:
        return lambda proxy: setattr(proxy, name, value)

    return {
        "latency": mode("latency", random.uniform(0.001, 0.05)),
        "bandwidth": mode("bandwidth", random.choice([2_000, 50_000, 1_000_000])),
        "half_open": mode("half_open", random.choice(["up", "down", "both"])),
        "blackhole": mode("blackhole", True),
        "refuse": mode("refuse", True),
        # In the handshake: later it would be for the protocol to find out.
        "corrupt_up": mode("corrupt_up", random.randint(1, 7)),
        "corrupt_down": mode("corrupt_down", random.randint(1, 7)),
        "cut_up": mode("cut_up", random.randint(0, 2000)),
        "cut_down": mode("cut_down", random.randint(0, 2000)),
        "reset": ChaosProxy.reset,
        "close": ChaosProxy.close_connections,
    }


class Weather:
    """A thread that switches proxies, one after the other, while it is bad.

    Parameters:
        proxies: what it switches.
        seed: of what it does.
        books: where it says so.
    """

    def __init__(self, proxies: Iterable[ChaosProxy], seed: str, books: Books) -> None:
        self._proxies = list(proxies)
        self._random = Random(seed)
        self._books = books
        self._ending = threading.Event()
        self._calm = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weather")
        self._switching = threading.Lock()
        """Whoever has it switches, for as long as that takes."""

    def start(self) -> None:
        self._thread.start()

    def calm_down(self) -> None:
        """From now on all is well, until it gets bad again."""
        with self._switching:
            self._calm.set()
            for proxy in self._proxies:
                proxy.heal()

    def get_bad(self) -> None:
        self._calm.clear()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self.calm_down()

    def _run(self) -> None:
        random = self._random
        while not self._ending.wait(random.uniform(0.01, 0.2)):
            proxy = random.choice(self._proxies)
            name, switch = random.choice(list(_modes(random).items()))
            with self._switching:
                if self._calm.is_set():
                    continue
                switch(proxy)
            self._books.deed(f"proxy {name}")
            self._ending.wait(random.uniform(0.02, 0.5))
            with self._switching:
                if random.random() < 0.8:
                    proxy.heal()
