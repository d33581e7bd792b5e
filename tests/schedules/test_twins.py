"""The two worlds tell the same story of a long life: worker, checks, lifetimes and budget included."""

from collections import Counter
from typing import Any

import pytest

from pool.testing import explore
from schedules._async import life as async_life
from schedules._sync import life as sync_life

Story = list[tuple[str, dict[str, Any]]]


def by_connection(story: Story) -> dict[tuple[str, int | None], Story]:
    """Tell the story of each connection, and of each endpoint, by itself.

    What a pool does by itself at the same time is done side by side in one world, and one thing after the
    other in the other.
    """
    stories: dict[tuple[str, int | None], Story] = {}
    for kind, facts in story:
        stories.setdefault((facts["address"], facts.get("connection_id")), []).append((kind, facts))
    return stories


def test_the_same_story(caplog: pytest.LogCaptureFixture) -> None:
    """Of each connection, event by event, with all that they say."""
    caplog.set_level("CRITICAL", logger="pool.connection")
    async_life.TOLD.clear()
    sync_life.TOLD.clear()
    explore(async_life.life, preemptions=0)
    explore(sync_life.life, preemptions=0)
    (told,), (again,) = async_life.TOLD, sync_life.TOLD
    assert by_connection(told) == by_connection(again)
    kinds = Counter(kind for kind, _ in told)
    closed = Counter(facts["reason"] for kind, facts in told if kind == "ConnectionClosedEvent")
    assert kinds["ConnectionLeakedEvent"] == 2
    assert set(closed) == {"idle", "error", "stale", "poolClosed"}
    assert kinds["ConnectionCreatedEvent"] == closed.total()
    assert len(told) > 60
