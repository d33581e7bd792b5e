"""Counts and words: what a pool's state looks like to people.

``count`` and ``survey`` run inside a transaction and only copy; the texts are made from the copies, outside.
"""

from collections.abc import Iterable
from types import CodeType
from typing import Any, NamedTuple

from pool._core.records import (
    CLOSING,
    CONNECTING,
    HELD,
    IDLE,
    IN_USE,
    VETTING,
    Home,
    Totals,
)
from pool.stats import PoolStats

__all__ = ["Survey", "count", "explain", "holders_text", "shortage", "survey"]

#: How many holders an error names.
_NAMED = 3


class Person(NamedTuple):
    """Somebody who holds or wants a connection."""

    id: int
    doing: str
    seconds: float
    code: CodeType | None
    instruction: int


class HomeSurvey(NamedTuple):
    """One endpoint: its state, its people and its last failed connect with its age in seconds."""

    endpoint: Any
    state: str
    stats: PoolStats
    holders: list[Person]
    waiting: list[Person]
    last_error: tuple[BaseException, float] | None


class Survey(NamedTuple):
    """Several endpoints, and the last failed connect of the whole pool (endpoint, error, age)."""

    homes: list[HomeSurvey]
    last_error: tuple[Any, BaseException, float] | None


def count(homes: Iterable[Home], past: Totals) -> PoolStats:
    """Add up some endpoints and the totals of those that were forgotten."""
    totals = Totals()
    totals.add(past)
    idle = held = leased = connecting = closing = waiting = known = 0
    for home in homes:
        totals.add(home)
        known += 1
        waiting += len(home.queue)
        for entry in home.entries.values():
            state = entry.state
            # A connection that is vetted was counted as used already, but is not leased yet.
            totals.acquired += entry.uses - (state is VETTING)
            idle += state is IDLE
            held += state in HELD
            leased += state is IN_USE
            connecting += state is CONNECTING
            closing += state is CLOSING
    return PoolStats(
        total=idle + held + connecting + closing,
        idle=idle,
        in_use=held,
        connecting=connecting,
        closing=closing,
        waiting=waiting,
        endpoints=known,
        released=totals.acquired - leased,
        **{name: getattr(totals, name) for name in Totals.__slots__},
    )


def survey(
    homes: Iterable[Home], last_error: tuple[Any, BaseException, float] | None, now: float
) -> Survey:
    """Copy who holds what and who waits, the longest first."""
    views = []
    for home in homes:
        holders = [
            Person(entry.id, entry.state, now - entry.since, entry.code, entry.instruction)
            for entry in home.entries.values()
            if entry.state in HELD or entry.state is CONNECTING
        ]
        holders.sort(key=lambda person: -person.seconds)
        waiting = [
            Person(0, "waiting", now - claim.since, claim.code, claim.instruction)
            for claim in home.queue
        ]
        error = home.last_error and (home.last_error[0], now - home.last_error[1])
        stats = count([home], Totals())
        views.append(HomeSurvey(home.endpoint, home.state, stats, holders, waiting, error))
    last = last_error and (last_error[0], last_error[1], now - last_error[2])
    return Survey(views, last)


def explain(survey: Survey) -> str:
    """Say in lines who holds what, since when, from where, who waits, and what failed last."""
    lines = []
    for home in survey.homes:
        lines.append(f"{home.endpoint!r} ({home.state}): {_counts(home.stats)}")
        for person in home.holders:
            lines.append(
                f"  #{person.id} {person.doing} for {person.seconds:.3f} s, {_site(person)}"
            )
        for place, person in enumerate(home.waiting, 1):
            lines.append(f"  waiting as no. {place} for {person.seconds:.3f} s, {_site(person)}")
        if home.last_error is not None:
            lines.append(f"  {_failure(*home.last_error)}")
    known = {id(home.last_error[0]) for home in survey.homes if home.last_error is not None}
    if survey.last_error is not None and id(survey.last_error[1]) not in known:
        endpoint, error, age = survey.last_error
        lines.append(f"{_failure(error, age)} (to {endpoint!r})")
    return "\n".join(lines) or "no endpoint in use"


def shortage(survey: Survey) -> str:
    """Say why there is no connection to the one endpoint surveyed: counts, holders, last error."""
    if not survey.homes:
        text = _counts(PoolStats())
        error = survey.last_error and survey.last_error[1:]
    else:
        home = survey.homes[0]
        text = _counts(home.stats)
        error = home.last_error
        if home.holders:
            text += f"; {holders_text(home)}"
    return text if error is None else f"{text}; {_failure(*error)}"


def holders_text(home: HomeSurvey) -> str:
    """Name those who have held connections longest."""
    named = [
        f"#{person.id} {person.doing} for {person.seconds:.3f} s, {_site(person)}"
        for person in home.holders[:_NAMED]
    ]
    more = len(home.holders) - len(named)
    return "longest: " + "; ".join(named) + (f"; and {more} more" if more else "")


def _counts(stats: PoolStats) -> str:
    plural = "" if stats.total == 1 else "s"
    return (
        f"{stats.total} connection{plural} ({stats.in_use} in use, {stats.idle} idle, "
        f"{stats.connecting} connecting, {stats.closing} closing), {stats.waiting} waiting"
    )


def _failure(error: BaseException, age: float) -> str:
    return f"last connect error {age:.3f} s ago: {error!r}"


def _site(person: Person) -> str:
    code = person.code
    if code is None:
        return "from an unknown place"
    # The instruction's offset counts bytes, of which each instruction unit has two.
    positions = list(code.co_positions())
    line = positions[person.instruction // 2][0] if positions else None
    return f"from {code.co_filename}:{line or code.co_firstlineno} in {code.co_qualname}"
