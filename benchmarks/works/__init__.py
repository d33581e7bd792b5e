"""What is measured: one module for each kind of work."""

from benchmarks.results import Work
from benchmarks.works.commands import Commands
from benchmarks.works.contended import Contended, Turned
from benchmarks.works.growth import Growth
from benchmarks.works.handoff import Handoff
from benchmarks.works.imports import Imports
from benchmarks.works.listeners import Listeners
from benchmarks.works.memory import Endpoints, Idle
from benchmarks.works.selection import Selection
from benchmarks.works.shared import Shared
from benchmarks.works.uncontended import Uncontended

__all__ = ["WORKS", "WORLDS"]

WORLDS = {"sync": "Threads", "async": "asyncio"}

WORKS: tuple[Work, ...] = (
    Uncontended(),
    Handoff(),
    Contended(),
    Turned(),
    Growth(),
    Idle(),
    Endpoints(),
    Imports(),
    Listeners(),
    Selection(),
    Commands(),
    Shared(),
)
