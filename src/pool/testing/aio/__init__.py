"""The kit for one of the worlds: the same names with the same meaning are in the other."""

from pool.testing._async.chaos import ChaosManager
from pool.testing._async.conformance import check_manager
from pool.testing._async.recorder import EventRecorder
from pool.testing._explore.aio import Stage
from pool.testing._explore.run import Actor
from pool.testing._explore.search import Exploration, ExplorationError, explore
from pool.testing._proxy import ChaosProxy
from pool.testing._record import expect
from pool.testing._report import ConformanceError, ConformanceReport

__all__ = [
    "Actor",
    "ChaosManager",
    "ChaosProxy",
    "ConformanceError",
    "ConformanceReport",
    "EventRecorder",
    "Exploration",
    "ExplorationError",
    "Stage",
    "check_manager",
    "expect",
    "explore",
]
