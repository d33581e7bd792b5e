"""The core of a connection that many share, by itself: order, roles, those who give up, failures."""

import random
from typing import Any

import pytest

from pool._runtime.pipeline import Pipeline, Slot, StrayReplyError
from pool._runtime.sockets import Want


class Bed:
    """A place to sleep that counts how often its owner was woken."""

    def __init__(self) -> None:
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


class Line(Pipeline[Bed]):
    """A core with a channel that takes everything, or as much as it is told."""

    def __init__(self) -> None:
        super().__init__(Bed)
        self.wire = b""

    def ask(self, data: bytes, missing: int = 1, since: float = 0.0) -> tuple[Slot[Bed], Any]:
        """Begin to ask; return the slot and the duty."""
        slot: Slot[Bed] = Slot(data, missing, since)
        duty, woken = self.begin(slot)
        self.rouse(woken)
        return slot, duty

    def on(self, slot: Slot[Bed]) -> Any:
        """Go on, and return the next duty."""
        duty, woken = self.turn(slot)
        self.rouse(woken)
        return duty

    def out(self, slot: Slot[Bed]) -> None:
        """Leave."""
        self.rouse(self.leave(slot))

    def flush(self, limit: int = 1 << 30) -> None:
        """Send, as the writer does, up to ``limit`` bytes."""
        data = self.outgoing()
        while data is not None and limit:
            took = bytes(data[:limit])
            limit -= len(took)
            self.wire += took
            data = self.sent(len(took))

    def hear(self, *replies: Any, now: float = 0.0) -> None:
        self.rouse(self.complete(replies, now))

    @staticmethod
    def rouse(woken: Any) -> None:
        for bed in woken:
            bed.wake()


@pytest.fixture
def line() -> Line:
    return Line()


def test_alone(line: Line) -> None:
    """One asker writes, reads, and is done."""
    slot, duty = line.ask(b"a")
    assert duty is Want.WRITE
    assert line.pending == 1
    line.flush()
    assert line.on(slot) is Want.READ
    line.hear(1)
    assert line.on(slot) is None
    line.out(slot)
    assert (slot.done, slot.replies, line.pending) == (True, [1], 0)


def test_replies_come_in_order(line: Line) -> None:
    """What many ask goes out at once, and each gets the reply to his own."""
    slots = []
    beds = []
    for name in b"a", b"b", b"c":
        slot, duty = line.ask(name)
        slots.append(slot)
        beds.append(duty)
    assert beds[0] is Want.WRITE
    line.flush()
    assert line.wire == b"abc"
    # The writer reads at once; nobody was woken for that.
    assert line.on(slots[0]) is Want.READ
    assert [bed.wakes for bed in beds[1:]] == [0, 0]
    line.hear("a", "b")
    assert [slot.replies for slot in slots] == [["a"], ["b"], []]
    assert [bed.wakes for bed in beds[1:]] == [1, 0]
    # The reader hands on to who still waits.
    assert line.on(slots[0]) is None
    assert beds[2].wakes == 1
    assert line.on(slots[2]) is Want.READ
    line.hear("c")
    assert slots[2].replies == ["c"]


def test_several_replies(line: Line) -> None:
    """A slot may be owed more than one reply."""
    slot, _ = line.ask(b"ab", missing=2)
    other, _ = line.ask(b"c")
    line.flush()
    line.hear(1)
    assert not slot.done
    line.hear(2, 3)
    assert (slot.done, slot.replies, other.replies) == (True, [1, 2], [3])


def test_abandoned_before_it_was_sent(line: Line) -> None:
    """Nothing of it is sent, and no reply is expected."""
    first, _ = line.ask(b"a")
    second, bed = line.ask(b"b")
    third, _ = line.ask(b"c")
    line.out(second)
    assert line.pending == 2
    line.flush()
    assert line.wire == b"ac"
    line.hear("a", "c")
    assert (first.replies, second.replies, third.replies) == (["a"], [], ["c"])
    assert bed.wakes == 0


def test_abandoned_afterwards(line: Line) -> None:
    """Its reply is expected still, and thrown away."""
    first, _ = line.ask(b"a")
    second, _ = line.ask(b"b")
    line.flush()
    line.out(first)
    assert line.pending == 2
    line.hear("a", "b")
    assert (first.replies, second.replies, line.pending) == ([], ["b"], 0)
    # In another thread he may look only now: he has left without a reply.
    assert (first.done, second.done) == (False, True)


def test_writer_leaves_in_the_middle(line: Line) -> None:
    """Another one sends the rest of his words, and then his own."""
    first, _ = line.ask(b"abcdef")
    line.flush(2)
    second, bed = line.ask(b"gh")
    line.out(first)
    assert bed.wakes == 1
    assert line.on(second) is Want.WRITE
    line.flush()
    assert line.wire == b"abcdefgh"
    assert line.on(second) is Want.READ
    line.hear("lost", "mine")
    assert (first.replies, second.replies) == ([], ["mine"])


def test_nobody_is_left(line: Line) -> None:
    """Who comes next goes on where the last one stopped."""
    first, _ = line.ask(b"abcdef")
    line.flush(2)
    line.out(first)
    second, duty = line.ask(b"gh")
    assert duty is Want.WRITE
    line.flush()
    assert line.wire == b"abcdefgh"
    assert line.on(second) is Want.READ


def test_writer_need_not_wait_for_others(line: Line) -> None:
    """Once his own words are gone, the one whose are not waits for the channel; somebody reads meanwhile."""
    first, _ = line.ask(b"ab")
    second, bed = line.ask(b"cd")
    line.flush(1)
    assert line.held_up(first) == (True, [])
    line.flush(2)
    assert line.held_up(first)[0] is False
    assert line.on(first) is Want.READ
    assert bed.wakes == 1
    assert line.on(second) is Want.WRITE


def test_reader_while_the_writer_waits(line: Line) -> None:
    """Whose words are sent reads, although the writer before him is not done."""
    first, _ = line.ask(b"a")
    second, bed = line.ask(b"b" * 10)
    line.flush(1)
    line.on(first)
    third, _ = line.ask(b"c")
    assert line.on(second) is Want.WRITE
    line.flush(4)
    assert line.held_up(second)[0] is True
    line.out(first)
    # Only he may read whose words are sent: nobody yet.
    assert bed.wakes == 1
    line.flush()
    assert line.on(second) is Want.READ
    line.hear("a", "b", "c")
    assert third.replies == ["c"]


def test_granted_but_gone(line: Line) -> None:
    """A role that was given to somebody who leaves goes to the next."""
    slots = [line.ask(bytes([name])) for name in b"abc"]
    line.flush()
    line.on(slots[0][0])
    line.out(slots[0][0])
    granted = [slot for slot, bed in slots[1:] if bed.wakes]
    assert granted == [slots[2][0]]
    line.out(slots[2][0])
    assert slots[1][1].wakes == 1
    assert line.on(slots[1][0]) is Want.READ


def test_leaving_twice(line: Line) -> None:
    """Once more changes nothing, nor does who never began."""
    slot, _ = line.ask(b"a")
    line.out(slot)
    line.out(slot)
    assert line.pending == 0
    line.out(Slot(b"b", 1, 0.0))
    assert line.pending == 0


def test_nothing_is_kept(line: Line) -> None:
    """Of those who gave up, and of what was sent."""
    line.ask(b"a")
    for _ in range(100):
        slot, _ = line.ask(b"b" * 1000)
        line.out(slot)
    assert len(line._queue) == 1
    line.flush()
    assert line._batch.obj == b""


def test_stray_reply(line: Line) -> None:
    """What nobody had asked for is an error."""
    slot, _ = line.ask(b"a")
    line.flush()
    with pytest.raises(StrayReplyError):
        line.hear("a", "b")
    assert slot.replies == ["a"]


@pytest.mark.parametrize("lost", [False, True])
def test_stray_reply_after_a_good_one(line: Line, lost: bool) -> None:
    """Whoever is served by what came with it is woken, once, though somebody else may fail first."""
    first, _ = line.ask(b"a")
    second, bed = line.ask(b"b")
    third, _ = line.ask(b"c")
    line.flush()
    assert line.on(first) is Want.READ
    line.out(third)
    with pytest.raises(StrayReplyError):
        line.hear(1, 2, 3, 4)
    assert second.done
    assert bed.wakes == 0
    if lost:
        line.lost = OSError("closed")
    line.rouse(line.fail(StrayReplyError()))
    line.rouse(line.fail(StrayReplyError()))
    assert bed.wakes == 1


def test_failure(line: Line) -> None:
    """All who wait are woken, once; nothing more is sent, and who comes later is told at once."""
    first, _ = line.ask(b"abc")
    second, bed = line.ask(b"b")
    line.flush(1)
    cause = OSError("gone")
    line.rouse(line.fail(cause))
    assert line.fail(OSError("again")) == ()
    assert line.lost is cause
    assert bed.wakes == 1
    assert line.outgoing() is None
    assert line.held_up(first) == (False, ())
    assert (line.on(first), line.on(second)) == (None, None)
    line.out(second)
    third, duty = line.ask(b"c")
    assert duty is None
    assert [slot.done for slot in (first, second, third)] == [False] * 3
    assert line.pending == 0
    assert not line.borrow(third)


def test_visitor(line: Line) -> None:
    """Somebody who asks for nothing may read while nobody else does, and hands the role on."""
    first, _ = line.ask(b"a")
    line.flush()
    visitor: Slot[Bed] = Slot(b"", 0, 0.0)
    assert line.borrow(visitor)
    bed = line.on(first)
    assert isinstance(bed, Bed)
    assert not line.borrow(Slot(b"", 0, 0.0))
    line.out(visitor)
    assert bed.wakes == 1
    assert line.on(first) is Want.READ
    assert line.pending == 1


def test_silence(line: Line) -> None:
    """It counts from the oldest command without a reply, or from the last word of the server."""
    assert line.silence(100.0) == 0
    line.ask(b"a", since=10.0)
    line.ask(b"b", since=12.0)
    line.flush()
    assert line.silence(13.0) == 3
    line.hear("a", now=14.0)
    assert line.silence(15.0) == 1
    line.hear("b", now=16.0)
    assert line.silence(100.0) == 0


@pytest.mark.parametrize("seed", range(200))
def test_any_order(seed: int) -> None:
    """Whatever happens in whatever order: somebody is always at work, and each gets his own reply."""
    chance = random.Random(seed)
    line = Line()
    asked: list[tuple[Slot[Bed], bytes]] = []
    duties: dict[Slot[Bed], Any] = {}
    answered = 0
    for number in range(chance.randint(5, 60)):
        slot, duty = line.ask(b"%03d" % number)
        asked.append((slot, b"%03d" % number))
        duties[slot] = duty
        for _ in range(chance.randint(0, 4)):
            answered = step(chance, line, duties, answered)
    for _ in range(10_000):
        if not duties:
            break
        answered = step(chance, line, duties, answered)
    assert not duties, "somebody waits for ever"
    for slot, name in asked:
        assert slot.replies == ([name] if slot.done and not slot.abandoned else [])


def step(chance: random.Random, line: Line, duties: dict[Slot[Bed], Any], answered: int) -> int:
    """Let one of the askers do what he can; return how many commands the server has answered."""
    awake = [slot for slot, duty in duties.items() if not isinstance(duty, Bed) or duty.wakes]
    assert awake or not duties, "all sleep"
    if not awake:
        return answered
    slot = chance.choice(awake)
    duty = duties[slot]
    if chance.random() < 0.1:
        slot = chance.choice(list(duties))
        duties.pop(slot)
        line.out(slot)
        return answered
    if duty is Want.WRITE:
        line.flush(chance.randint(1, 8))
        must_wait, woken = line.held_up(slot)
        line.rouse(woken)
        if must_wait:
            return answered
    elif duty is Want.READ:
        count = chance.randint(0, len(line.wire) // 3 - answered)
        for _ in range(count):
            line.hear(line.wire[3 * answered : 3 * answered + 3])
            answered += 1
        if not slot.done:
            return answered
    duties[slot] = line.on(slot)
    if duties[slot] is None:
        del duties[slot]
        line.out(slot)
    return answered
