"""The ready-made manager for WebSockets keeps what a manager promises to a pool."""

import pytest

from pool.aio.websockets import WebSocketManager
from pool.testing.aio import check_manager
from support.websocket_servers import WebSocketServer


@pytest.mark.slow
async def test_conformance() -> None:
    """On a good line, and on one that says nothing, closes and resets."""
    with WebSocketServer() as server:
        report = await check_manager(
            WebSocketManager(),
            server.uri,
            server=server.address,
            via=lambda host, port: f"ws://{host}:{port}/",
            bad_endpoint="ws://127.0.0.1:9/",
            short=0.1,
            patience=3.0,
            strict=False,
        )
    assert report.failed == (), report
    assert len(report.passed) >= 23, report
