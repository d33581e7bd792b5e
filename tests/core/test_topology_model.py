"""The core of a topology, driven by random operations, against what must be true after every one of them.

The machine plays all monitors, probes and operations at once, and one speaker, who does what there is to do
in portions: between two of these anything may happen.
"""

from collections import Counter
from random import Random
from typing import Any

from core.audience import Audience
from core.books import Step, Waiter, pick
from core.servers import hello
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pool import selectors
from pool._core.pulse import Pulse, Watched
from pool._core.topology import TopologyCore
from pool.descriptions import Hello, TopologyDescription, TopologyType

ADDRESSES = "abcd"
SELECTORS = [selectors.writable, selectors.readable, selectors.nearest, selectors.secondary]
MEMBERS = ["PRIMARY", "PRIMARY", "SECONDARY", "SECONDARY", "SECONDARY", "ARBITER", "OTHER"]
KINDS = {
    "set": [*MEMBERS, *MEMBERS, "STANDALONE", "ROUTER"],
    "sharded": ["ROUTER", "ROUTER", "ROUTER", "ROUTER", "SECONDARY"],
    "single": ["STANDALONE"],
    "balanced": ["LOAD_BALANCER"],
    "anything": [*MEMBERS, "STANDALONE", "ROUTER", "LOAD_BALANCER"],
}


class Machine(RuleBasedStateMachine):
    """All who use one core."""

    @initialize(
        dice=st.randoms(use_true_random=True),
        world=st.sampled_from(["set", "set", *KINDS]),
        waits=st.booleans(),
    )
    def begin(self, dice: Random, world: str, waits: bool) -> None:
        self.dice = dice
        self.kinds = KINDS[world]
        alone = world in ("single", "balanced")
        self.core = TopologyCore("t", Pulse(10.0, 0.5, 5.0, waits), Random(3).random)
        self.audience = Audience(self.core.shown)
        self.now = 100.0
        self.seeds = "a" if alone else "abc"
        self.monitors: list[Watched] = []
        """Those that were added, also for servers that have left."""
        self.generations: dict[Watched, int] = {}
        self.operations: list[tuple[Watched, int]] = []
        self.waiters: dict[Any, TopologyDescription] = {}
        """And what they have seen."""
        self.wanting = 0
        self.speaking = False

    @rule()
    def step(self) -> None:
        """Anything that can happen now."""
        checked = bool(self.checked())
        possible: list[Step] = [
            (6, self.open, not self.core.is_open),
            (1, self.close, self.dice.random() < 0.2),
            (10, self.wait, True),
            (25, self.check, bool(self.monitors)),
            (25, self.succeed, checked),
            (8, self.fail, checked),
            (3, self.break_off, checked),
            (4, self.measure, bool(self.monitors)),
            (2, self.reseed, True),
            (2, self.request, True),
            (10, self.choose, True),
            (5, self.finish, bool(self.operations)),
            (5, self.lose, bool(self.operations)),
            (3, self.demote, bool(self.operations)),
            (2, self.want, True),
            (2, self.content, bool(self.wanting)),
            (4, self.linger, True),
            (2, self.desert, bool(self.waiters)),
            (20, self.speak, True),
        ]
        steps = [(share, happens) for share, happens, can in possible if can]
        (chosen,) = self.dice.choices([each for _, each in steps], [share for share, _ in steps])
        note(chosen.__name__)
        chosen(self.dice)

    def checked(self) -> list[Watched]:
        """Whose check goes on, as far as the monitor knows."""
        return [each for each in self.monitors if each.checking is not None]

    # -- its life ------------------------------------------------------------------------------------

    def open(self, dice: Random) -> None:
        first = not (self.core.is_open or self.core.is_closed)
        assert self.core.open(self.seeds) == first

    def close(self, dice: Random) -> None:
        first = not self.core.is_closed
        assert self.core.close(self.now) == first

    def wait(self, dice: Random) -> None:
        self.now += dice.choice([0.0, 0.1, 0.5, 10.0])

    def reseed(self, dice: Random) -> None:
        self.core.reseeded(dice.sample(ADDRESSES, dice.randrange(4)), self.now)

    # -- monitors ------------------------------------------------------------------------------------

    def check(self, dice: Random) -> None:
        server = pick(dice, self.monitors)
        if server.checking is not None:
            return
        left = self.core.begin_check(server, dice.random() < 0.7, self.now)
        if left is None:
            assert server.gone
            self.monitors.remove(server)
        elif left > 0:
            assert self.core.pause(server, self.now) == left
            self.now += dice.choice([0.0, left])

    def said(self, dice: Random) -> Hello:
        hosts = dice.choice([(), (), tuple("abc"), tuple(dice.sample(ADDRESSES, 3))])
        return hello(
            dice.choice(self.kinds),
            *hosts,
            term=dice.choice([None, 1, 2, 2, 3]),
            set_name=dice.choice([None, "rs", "rs", "rs", "rs", "rs", "other"]),
        )

    def succeed(self, dice: Random) -> None:
        server = pick(dice, self.checked())
        sample = None if server.awaited else dice.choice([0.1, 0.2])
        said = self.said(dice)
        known = self.core._decided.servers.get(server.address)
        if known is not None and known.hello is not None and dice.random() < 0.5:
            said = known.hello
        self.core.succeeded(server, said, sample, self.now)
        self.end(server)

    def fail(self, dice: Random) -> None:
        server = pick(dice, self.checked())
        error = OSError(dice.choice(["refused", "reset"]))
        self.core.failed(server, error, dice.random() < 0.5, self.now)
        self.end(server)

    def break_off(self, dice: Random) -> None:
        server = pick(dice, self.checked())
        self.core.broken_off(server, OSError("broken off"), self.now)
        self.end(server)
        if not server.gone:
            # At once, unless that was done too often already.
            assert self.core.pause(server, self.now) == (0.0 if server.haste > 0 else 0.5)

    def end(self, server: Watched) -> None:
        """The monitor of a server that has left ends with its check."""
        if server.gone:
            self.monitors.remove(server)
        else:
            assert server.checking is None
            left = self.core.pause(server, self.now)
            assert left is not None
            assert 0.0 <= left <= 10.0

    def measure(self, dice: Random) -> None:
        self.core.measured(pick(dice, self.monitors), dice.choice([0.1, 0.3]))

    # -- operations ----------------------------------------------------------------------------------

    def request(self, dice: Random) -> None:
        everywhere = dice.random() < 0.5
        found = self.core.request(dice.choice(ADDRESSES), everywhere)
        assert len(found) <= (len(self.core._servers) if everywhere else 1)

    def choose(self, dice: Random) -> None:
        found = dice.choice(SELECTORS)(self.core.shown)
        if found:
            chosen = self.core.choose(found)
            if chosen is None:
                assert self.core._outbox, "it is shown, and has left"
            else:
                self.operations.append(chosen)

    def finish(self, dice: Random) -> None:
        server, _ = self.operations.pop(dice.randrange(len(self.operations)))
        self.core.finished(server)

    def lose(self, dice: Random) -> None:
        server, generation = pick(dice, self.operations)
        counts = not server.gone and generation == server.generation
        service = dice.choice([None, "s"])
        error = OSError(dice.choice(["reset", "refused"]))
        found = self.core.lost(server, generation, error, service, self.now)
        assert found == counts

    def demote(self, dice: Random) -> None:
        server, generation = pick(dice, self.operations)
        counts = not server.gone and generation == server.generation
        assert self.core.demoted(server, generation, OSError("not primary"), self.now) == counts

    def want(self, dice: Random) -> None:
        self.wanting += 1
        rung = self.core.want()
        assert rung == (list(self.core._servers.values()) if self.wanting == 1 else [])

    def content(self, dice: Random) -> None:
        self.wanting -= 1
        self.core.content()

    def linger(self, dice: Random) -> None:
        waiter = Waiter()
        seen = self.core.shown
        assert self.core.linger(waiter, seen) == (not self.core.is_closed)
        if not self.core.is_closed:
            self.waiters[waiter] = seen

    def desert(self, dice: Random) -> None:
        waiter = pick(dice, list(self.waiters))
        self.core.desert(waiter)
        del self.waiters[waiter]

    # -- the speaker ---------------------------------------------------------------------------------

    def speak(self, dice: Random) -> None:
        """Do a few of the things that there are to do, or all."""
        if not self.speaking:
            something = bool(self.core._outbox)
            self.speaking = self.core.begin_speech("speaker")
            assert self.speaking == something
        assert not self.core.begin_speech("another")
        portion = dice.choice([1, 2, 5, 1000, 1000])
        while self.speaking and portion:
            portion -= 1
            act, _ = self.core.next_act()
            if act is None:
                self.speaking = False
            else:
                self.perform(act)

    def perform(self, act: Any) -> None:
        self.audience.hear(act)
        if act.what == "show":
            for waiter in self.core.show(act.about):
                del self.waiters[waiter]
            assert not self.waiters, "somebody was not told"
        elif act.what == "add":
            self.monitors.append(act.about)

    # -- what must be true ---------------------------------------------------------------------------

    @invariant()
    def members_are_watched(self) -> None:
        """Each server that is known of has its books, and what they say agrees."""
        decided, servers = self.core._decided, self.core._servers
        assert set(decided.servers) == set(servers)
        for address, server in servers.items():
            known = decided.servers[address]
            assert server.address == known.address == address
            assert not server.gone
            assert server.average == known.round_trip_time
            assert server.ready or not known.is_known
        assert not (self.core.is_closed and servers)

    @invariant()
    def there_is_one_primary_at_the_most(self) -> None:
        for known in (self.core._decided, self.core.shown):
            kinds = Counter(each.server_type_name for each in known.servers.values())
            if known.topology_type is TopologyType.REPLICA_SET_WITH_PRIMARY:
                assert kinds["PRIMARY"] == 1
            elif known.topology_type not in (TopologyType.SINGLE, TopologyType.LOAD_BALANCED):
                # One that is alone may be whatever it likes.
                assert kinds["PRIMARY"] == 0

    @invariant()
    def generations_do_not_fall(self) -> None:
        for server in [*self.monitors, *self.core._servers.values()]:
            assert server.generation >= self.generations.get(server, 0)
            self.generations[server] = server.generation

    @invariant()
    def operations_are_counted(self) -> None:
        going_on = Counter(id(server) for server, _ in self.operations)
        for server in self.core._servers.values():
            assert server.operations == going_on[id(server)] == self.core.load(server.address)

    @invariant()
    def what_is_decided_is_told(self) -> None:
        """Once there is nothing left to do, everybody knows everything."""
        assert self.audience.shown is self.core.shown
        if self.core._outbox:
            return
        assert self.core.shown is self.core._decided
        assert self.audience.told == self.core.shown
        assert self.audience.pools == self.core._servers
        checks = {each.address: each.awaited for each in self.checked() if not each.gone}
        assert self.audience.checks == checks
        ready = {each.address for each in self.core._servers.values() if each.ready}
        assert self.audience.ready == ready
        assert self.audience.ended == (self.core.is_open and self.core.is_closed)


Machine.TestCase.settings = settings(
    max_examples=settings().max_examples * 3 // 4,
    stateful_step_count=80,
    # As for the core of pools: to make a failure smaller takes too long.
    phases=[Phase.generate],
)
TestTopology = Machine.TestCase
