"""Calls to a pool of shared connections that are left where they stand, so that they cannot wait."""

import pytest
from aio_only.strikes import Scenario
from aio_only.test_abandoned import leave_everywhere
from aio_only.test_multiplexed_cancel import CHANGES, CLOSES, RELEASES

pytestmark = pytest.mark.concurrency


@pytest.mark.parametrize("scenario", [*RELEASES, *CHANGES])
async def test_abandoned_at_any_step(scenario: Scenario) -> None:
    """Gives everything back, and the one who comes next is served."""
    await leave_everywhere(scenario, behind=True)


@pytest.mark.parametrize("scenario", CLOSES)
async def test_a_close_abandoned_at_any_step(scenario: Scenario) -> None:
    """Has closed the pool all the same, and leaves nothing open."""
    await leave_everywhere(scenario, behind=False, open_still=False)
