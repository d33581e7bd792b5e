"""The kit for whoever writes a manager, or wants to see how his program takes a bad day.

The rules of this package: nothing of the library imports it, it needs nothing beyond the library, and it
may be used from both worlds at once. What is awaited is written once in ``_async``; ``_twin`` has what
that needs of each world. ``pool.testing.aio`` and ``pool.testing.sync`` are its two faces. Here is all of
it for both: ``ChaosManager`` and ``check_manager`` go by the world of the manager they are given,
``EventRecorder.wait_for`` by where it is called.
"""

from pool.testing._explore.run import Actor
from pool.testing._explore.search import Exploration, ExplorationError, explore
from pool.testing._proxy import ChaosProxy
from pool.testing._record import expect
from pool.testing._report import ConformanceError, ConformanceReport
from pool.testing._worlds import ChaosManager, EventRecorder, check_manager

__all__ = [
    "Actor",
    "ChaosManager",
    "ChaosProxy",
    "ConformanceError",
    "ConformanceReport",
    "EventRecorder",
    "Exploration",
    "ExplorationError",
    "check_manager",
    "expect",
    "explore",
]
