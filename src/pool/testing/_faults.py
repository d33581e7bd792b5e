"""What a ``ChaosManager`` does wrong, and when: by rule or by lot. The same for both worlds.

What a lot says depends on the seed, the hook, the endpoint and how many times that hook was called there, and
on nothing else: the order in which threads come by does not change it.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Any, Final, Literal, NamedTuple, TypedDict

from pool._runtime import fork

__all__ = ["ANYWHERE", "Deed", "Fault", "Faults", "Hook", "Odds", "Rule"]

Fault = Literal["refuse", "delay", "hang", "reset", "half_open", "lie", "error"]
Hook = Literal[
    "create", "dispose", "check_aliveness", "on_acquire", "on_release", "on_connection_dead"
]

ANYWHERE: Final = object()
"""Stands for every endpoint."""

_HOOKS: Final[tuple[Hook, ...]] = Hook.__args__  # type: ignore[attr-defined]

#: Where each fault may strike; the first is meant where a rule names none.
_PLACES: Final[Mapping[Fault, tuple[Hook, ...]]] = {
    "refuse": ("create",),
    "delay": _HOOKS,
    "hang": _HOOKS,
    "reset": ("on_acquire", "create", "check_aliveness", "on_release"),
    "half_open": ("on_acquire", "create", "check_aliveness", "on_release"),
    "lie": ("check_aliveness",),
    "error": ("on_acquire", "on_release", "dispose", "check_aliveness", "on_connection_dead"),
}

#: Where lots are drawn for a fault if nobody says where. Not where nothing but a ``heal`` would end a hang.
_LOTS: Final[Mapping[Fault, tuple[Hook, ...]]] = {
    **_PLACES,
    "hang": ("create", "check_aliveness", "dispose"),
}

#: What may be raised: an exception, or what makes one.
Trouble = Exception | Callable[[], Exception]


class Odds(TypedDict, total=False):
    """How probable each fault is, from 0 to 1, in every call of a hook."""

    refuse: float
    delay: float
    hang: float
    reset: float
    half_open: float
    lie: float
    error: float


class Deed(NamedTuple):
    """One thing that was done wrong."""

    fault: Fault
    hook: str
    endpoint: Hashable

    def __str__(self) -> str:
        return f"{self.fault} in {self.hook} at {self.endpoint!r}"


@dataclass
class Rule:
    """One fault that strikes certain calls of a hook.

    Attributes:
        fault: what happens.
        hook: in which.
        endpoint: where, ``ANYWHERE`` for all endpoints.
        nth: the first call that it strikes, from 1, counted from when the rule was made.
        times: how many calls in a row it strikes, ``None`` for all from there on.
        seconds: how long a delay takes, or a hang lasts; ``None`` for what the manager was made with.
        error: what is raised, ``None`` for an error that says that it is chaos.
        seen: how many calls it has counted.
    """

    fault: Fault
    hook: Hook
    endpoint: object = ANYWHERE
    nth: int = 1
    times: int | None = 1
    seconds: float | None = None
    error: Trouble | None = None
    seen: int = field(default=0, init=False)

    def strikes(self, hook: str, endpoint: Hashable) -> bool:
        """Count a call, and return whether it is struck."""
        if hook != self.hook or (self.endpoint is not ANYWHERE and self.endpoint != endpoint):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


class Faults:
    """Knows what each call meets, and remembers what was done.

    Parameters:
        seed: of the lots; ``None`` for one that is drawn, and told.
    """

    def __init__(self, seed: object = None) -> None:
        self.seed = Random().randrange(2**32) if seed is None else seed
        self.active = True
        self.log: list[Deed] = []
        self._odds: dict[tuple[Hook, Fault], float] = {}
        self._rules: list[Rule] = []
        self._calls: Counter[tuple[str, Hashable]] = Counter()
        self._live: dict[int, _Life] = {}
        self.hangs: dict[int, Any] = {}
        """Whoever waits now, for the shell."""
        self._lock = Lock()
        """Protects all of these. Nobody calls anything of the user's, or waits, while he has it."""
        fork.watch(self)

    def forked(self) -> None:
        """This is a child process: somebody else may have had the lock."""
        self._lock = Lock()
        self.hangs.clear()

    # --- What is to go wrong ---

    def rule(self, rule: Rule) -> Rule:
        """Add a rule.

        Raises:
            ValueError: there is no such fault, it cannot strike there, or a number makes no sense.
        """
        _check_place(rule.fault, rule.hook)
        if rule.nth < 1:
            raise ValueError(f"nth counts from 1, not {rule.nth!r}")
        if rule.times is not None and rule.times < 1:
            raise ValueError(f"times must be at least 1, or None for always, not {rule.times!r}")
        with self._lock:
            self._rules.append(rule)
        return rule

    def odds(self, hook: Hook | None, odds: Odds) -> None:
        """Set how probable faults are, in one hook or wherever they usually are.

        Raises:
            ValueError: there is no such fault, it cannot strike there, or a number is no probability.
        """
        changed: dict[tuple[Hook, Fault], float] = {}
        for name, probability in odds.items():
            fault, places = _known(name), _LOTS[_known(name)]
            if not isinstance(probability, int | float) or not 0 <= probability <= 1:
                raise ValueError(f"{name} must be a probability from 0 to 1, not {probability!r}")
            if hook is not None:
                _check_place(fault, hook)
                places = (hook,)
            changed |= {(place, fault): float(probability) for place in places}
        with self._lock:
            self._odds |= changed

    def forget(self) -> None:
        """No rule and no lot from now on; what is half-open works again."""
        with self._lock:
            self._rules.clear()
            self._odds.clear()
            for life in self._live.values():
                if life.fault == "half_open":
                    life.fault = None

    # --- What goes wrong ---

    def strike(self, hook: Hook, endpoint: Hashable) -> dict[Fault, Rule]:
        """Count a call, and return what strikes it: a rule of each fault; one of a lot is made up."""
        with self._lock:
            self._calls[hook, endpoint] += 1
            if not self.active:
                return {}
            struck: dict[Fault, Rule] = {}
            for rule in self._rules:
                if rule.strikes(hook, endpoint):
                    struck.setdefault(rule.fault, rule)
            for fault in _PLACES:
                probability = self._odds.get((hook, fault), 0.0)
                if probability and fault not in struck:
                    number = self._calls[hook, endpoint]
                    lot = Random(f"{self.seed!r} {hook} {endpoint!r} {number} {fault}")
                    if lot.random() < probability:
                        struck[fault] = Rule(fault, hook, endpoint)
            return struck

    def done(self, fault: Fault, hook: str, endpoint: Hashable) -> None:
        """Remember what was done."""
        with self._lock:
            self.log.append(Deed(fault, hook, endpoint))

    def counts(self) -> dict[str, int]:
        """Return how often each fault struck."""
        with self._lock:
            return dict(Counter(deed.fault for deed in self.log))

    # --- Connections ---

    def born(self, connection: object) -> None:
        """A connection was opened."""
        with self._lock:
            self._live[id(connection)] = _Life(connection)

    def bury(self, connection: object) -> None:
        """A connection is disposed of: its ``id`` may be another's from now on."""
        with self._lock:
            self._live.pop(id(connection), None)

    def break_(self, connection: object, fault: Fault) -> None:
        """A connection breaks. One that was reset stays so."""
        with self._lock:
            life = self._live.setdefault(id(connection), _Life(connection))
            if life.fault != "reset":
                life.fault = fault

    def state(self, connection: object) -> Fault | None:
        """Return how a connection is broken, ``None`` if it is not."""
        with self._lock:
            life = self._live.get(id(connection))
            return None if life is None else life.fault

    def interrupted(self, connection: object) -> None:
        """Somebody interrupts a connection: nothing waits for it any more, nor later."""
        with self._lock:
            if life := self._live.get(id(connection)):
                life.interrupted = True

    def was_interrupted(self, connection: object) -> bool:
        """Return whether somebody has interrupted a connection."""
        with self._lock:
            life = self._live.get(id(connection))
            return life is not None and life.interrupted


@dataclass
class _Life:
    connection: object
    """Kept, so that nobody else has its ``id``."""
    fault: Fault | None = None
    interrupted: bool = False


def _known(name: str) -> Fault:
    for fault in _PLACES:
        if fault == name:
            return fault
    raise ValueError(f"no fault is called {name!r}; there are {', '.join(_PLACES)}")


def _check_place(name: str, hook: str) -> None:
    places = _PLACES[_known(name)]
    if hook not in places:
        raise ValueError(f"{name!r} cannot strike in {hook!r}, only in {', '.join(places)}")


def place_of(fault: str) -> Hook:
    """Return where a fault strikes if nobody says where.

    Raises:
        ValueError: there is no such fault.
    """
    return _PLACES[_known(fault)][0]
