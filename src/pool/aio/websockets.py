"""The ready-made pool of WebSockets. Needs ``twinpool[websockets]``."""

from pool._async.websockets import (
    UndecodableError,
    UnsendableError,
    WebSocket,
    WebSocketManager,
    WebSocketPool,
    WebSocketStats,
)

__all__ = [
    "UndecodableError",
    "UnsendableError",
    "WebSocket",
    "WebSocketManager",
    "WebSocketPool",
    "WebSocketStats",
]
