"""Counts and words: what a pool's state looks like to people.

``count`` and ``survey`` run inside a transaction and only copy; the texts are made from the copies, outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from types import CodeType
from typing import Any, NamedTuple

from pool._core.deadlock import Knot
from pool._core.home import Home, Totals
from pool._core.states import CLOSING, CONNECTING, HELD, IDLE
from pool.stats import PoolStats

__all__ = [
    "Survey",
    "cause_of",
    "count",
    "crowd",
    "explain",
    "place_of",
    "shortage",
    "stack_text",
    "survey",
]

#: How many holders an error names.
_NAMED = 3


class Person(NamedTuple):
    """Somebody who holds or wants a connection."""

    id: int
    doing: str
    seconds: float
    owner: Any
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
    knot: Knot | None
    retry: tuple[int, float] | None
    """Failed connects in a row, and the seconds until the upkeep tries again, if it wants to."""


class Crowd(NamedTuple):
    """A pool that is full: its limit, all its connections, and who holds them with the endpoints."""

    limit: int
    stats: PoolStats
    holders: list[tuple[Any, Person]]


class Survey(NamedTuple):
    """Several endpoints, the last failed connect (endpoint, error, age), and the pool if it is full."""

    homes: list[HomeSurvey]
    last_error: tuple[Any, BaseException, float] | None
    crowd: Crowd | None = None
    sharing: str | None = None
    """How many callers may share connections, and do, if they may."""


def count(homes: Iterable[Home], past: Totals) -> PoolStats:
    """Add up some endpoints and the totals of those that were forgotten."""
    totals = Totals()
    totals.add(past)
    idle = held = leased = connecting = closing = waiting = known = 0
    for home in homes:
        totals.add(home)
        known += 1
        waiting += len(home.queue)
        for entry in home.every():
            state = entry.state
            acquired, lasting = entry.tally()
            totals.acquired += acquired
            leased += lasting
            idle += state is IDLE
            held += state in HELD
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
    homes: Iterable[Home],
    knots: Mapping[Home, Knot],
    last_error: tuple[Any, BaseException, float] | None,
    now: float,
) -> Survey:
    """Copy who holds what and who waits, the longest first."""
    views = []
    for home in homes:
        holders = _people(home, now)
        waiting = [
            Person(0, "waiting", now - claim.since, claim.owner, claim.code, claim.instruction)
            for claim in home.queue
        ]
        error = home.last_error and (home.last_error[0], now - home.last_error[1])
        stats = count([home], Totals())
        retry = (home.failures, home.retry - now) if home.failures and home.look < inf else None
        views.append(
            HomeSurvey(
                home.endpoint, home.state, stats, holders, waiting, error, knots.get(home), retry
            )
        )
    last = last_error and (last_error[0], last_error[1], now - last_error[2])
    return Survey(views, last)


def crowd(homes: Iterable[Home], limit: int, now: float) -> Crowd:
    """Copy who holds the connections of a pool that is full, the longest first."""
    homes = list(homes)
    holders = [(home.endpoint, person) for home in homes for person in _people(home, now)]
    holders.sort(key=lambda holder: -holder[1].seconds)
    return Crowd(limit, count(homes, Totals()), holders[:_NAMED])


def _people(home: Home, now: float) -> list[Person]:
    """Who holds the connections of an endpoint, the longest first."""
    people = []
    for entry in home.every():
        for lease in entry.leases():
            if lease.state in HELD or lease.state is CONNECTING:
                who = (lease.owner, lease.code, lease.instruction)
                people.append(Person(lease.id, lease.state, now - lease.held_since(), *who))
    people.sort(key=lambda person: -person.seconds)
    return people


def explain(survey: Survey, name: Callable[[Any], str]) -> str:
    """Say in lines who holds what, since when, from where, who waits, and what failed last."""
    lines = []
    for home in survey.homes:
        lines.append(f"{home.endpoint!r} ({home.state}): {_counts(home.stats)}")
        for people in _groups(home.holders):
            lines.append(f"  {_sharers(people, name)}")
        for place, person in enumerate(home.waiting, 1):
            lines.append(f"  waiting as no. {place} for {_since(person, name)}")
        if home.knot is not None:
            lines.append(f"  {home.knot}")
        if home.last_error is not None:
            lines.append(f"  {_failure(*home.last_error)}")
        if home.retry is not None:
            failures, seconds = home.retry
            plural = "" if failures == 1 else "s"
            lines.append(
                f"  {failures} failed connect{plural} in a row, the pool itself tries again "
                f"in {max(seconds, 0.0):.3f} s"
            )
    known = {id(home.last_error[0]) for home in survey.homes if home.last_error is not None}
    if survey.last_error is not None and id(survey.last_error[1]) not in known:
        endpoint, error, age = survey.last_error
        lines.append(f"{_failure(error, age)} (to {endpoint!r})")
    return "\n".join(lines) or "no endpoint in use"


def shortage(survey: Survey, name: Callable[[Any], str]) -> str:
    """Say why there is no connection to the one endpoint surveyed: counts, people, last error."""
    error = survey.last_error and survey.last_error[1:]
    if not survey.homes:
        parts = [_counts(PoolStats())]
    else:
        home = survey.homes[0]
        parts = [_counts(home.stats)]
        if survey.sharing is not None:
            parts.append(survey.sharing)
        # It may have been forgotten since, and be known again.
        error = home.last_error or error
        if home.holders:
            parts.append(_holders(home, name))
        if home.waiting:
            parts.append(f"first in the queue for {_since(home.waiting[0], name)}")
        if survey.crowd is not None:
            parts.append(_crowd(survey.crowd, name))
        if home.knot is not None:
            parts.append(str(home.knot))
    if error is not None:
        parts.append(_failure(*error))
    return "; ".join(parts)


def cause_of(survey: Survey) -> BaseException | None:
    """Return the last connect error at the one endpoint surveyed."""
    if survey.homes and (error := survey.homes[0].last_error):
        return error[0]
    return survey.last_error and survey.last_error[1]


def _holders(home: HomeSurvey, name: Callable[[Any], str]) -> str:
    """Name those who have held connections longest."""
    groups = _groups(home.holders)[:_NAMED]
    named = [_sharers(people, name) for people in groups]
    more = len(home.holders) - sum(map(len, groups))
    return "longest: " + "; ".join(named) + (f"; and {more} more" if more else "")


def _crowd(crowd: Crowd, name: Callable[[Any], str]) -> str:
    """Say that there is no room in the whole pool, and why."""
    text = (
        f"total_max_size={crowd.limit} is reached, with {_counts(crowd.stats)} "
        f"at {crowd.stats.endpoints} endpoints"
    )
    named = [f"{_holder(person, name)} to {endpoint!r}" for endpoint, person in crowd.holders]
    return f"{text}; longest: {'; '.join(named)}" if named else text


def _groups(people: Iterable[Person]) -> list[list[Person]]:
    """Put those together who do the same with the same connection at the same place, the longest first."""
    groups: dict[tuple[Any, ...], list[Person]] = {}
    for person in people:
        key = (person.id, person.doing, person.code, person.instruction)
        groups.setdefault(key, []).append(person)
    return list(groups.values())


def _sharers(people: Sequence[Person], name: Callable[[Any], str]) -> str:
    longest = people[0]
    if len(people) == 1:
        return _holder(longest, name)
    return (
        f"#{longest.id} {longest.doing} by {len(people)} callers for up to "
        f"{longest.seconds:.3f} s, {_site(longest)}"
    )


def _holder(person: Person, name: Callable[[Any], str]) -> str:
    return f"#{person.id} {person.doing} for {_since(person, name)}"


def _since(person: Person, name: Callable[[Any], str]) -> str:
    by = "" if person.owner is None else f" by {name(person.owner)}"
    return f"{person.seconds:.3f} s{by}, {_site(person)}"


def _counts(stats: PoolStats) -> str:
    plural = "" if stats.total == 1 else "s"
    return (
        f"{stats.total} connection{plural} ({stats.in_use} in use, {stats.idle} idle, "
        f"{stats.connecting} connecting, {stats.closing} closing), {stats.waiting} waiting"
    )


def _failure(error: BaseException, age: float) -> str:
    return f"last connect error {age:.3f} s ago: {error!r}"


def _site(person: Person) -> str:
    if person.code is None:
        return "by the pool itself"
    file, line, function = place_of(person.code, person.instruction)
    return f"from {file}:{line} in {function}"


def place_of(code: CodeType, instruction: int) -> tuple[str, int, str]:
    """Return file, line and function of an instruction."""
    # Its offset counts bytes, of which each instruction unit has two.
    positions = list(code.co_positions())
    line = positions[instruction // 2][0] if positions else None
    return code.co_filename, line or code.co_firstlineno, code.co_qualname


def stack_text(stack: Iterable[tuple[CodeType, int]]) -> str:
    """Return a stack, the oldest call first, as a traceback shows it."""
    lines = []
    for code, instruction in stack:
        file, line, function = place_of(code, instruction)
        lines.append(f'  File "{file}", line {line}, in {function}\n')
    return "".join(lines)
