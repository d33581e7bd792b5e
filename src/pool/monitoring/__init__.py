"""One monitoring API for both worlds: what happened, as plain data, told to whoever listens.

The rules:

- **Events are data.** They are read-only, made only if somebody wants them, and equal by value.
- **Listeners are plain classes.** One overrides only the methods it wants. One instance may belong
  to several families, and serve any number of pools of both worlds; ``register`` gives it to all
  pools made later. A listener named twice is still called once.
- **What a listener wants is found out once,** when a pool is made. A handler put in place later is
  not seen.
- **Delivery is synchronous,** in order per connection, never under the pool's lock: global
  listeners first, then the pool's own. The caller waits until every handler has returned. Those of
  a sync pool are called from many threads.
- **An exception in a listener is contained:** it is logged with its traceback on the logger
  ``pool.monitoring``, and the next listener is called. What is no ``Exception``, such as
  ``KeyboardInterrupt``, goes through after the other listeners were called.

Everything here is plain data and plain calls: no thread, no event loop. ``pool.event_loggers`` has
listeners that write log messages, ``pool.logger`` writes structured ones.
"""

from pool.monitoring._command_events import (
    CommandFailedEvent,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pool.monitoring._event import Event
from pool.monitoring._listeners import (
    CommandListener,
    ConnectionPoolListener,
    EventListener,
    ServerHeartbeatListener,
    ServerListener,
    TopologyListener,
    on,
)
from pool.monitoring._operations import operation_id
from pool.monitoring._pool_events import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutFailedReason,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionClosedReason,
    ConnectionCreatedEvent,
    ConnectionLeakedEvent,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from pool.monitoring._registry import register
from pool.monitoring._topology_events import (
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
    ServerOpeningEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyEvent,
    TopologyOpenedEvent,
)

__all__ = [
    "CommandFailedEvent",
    "CommandListener",
    "CommandStartedEvent",
    "CommandSucceededEvent",
    "ConnectionCheckOutFailedEvent",
    "ConnectionCheckOutFailedReason",
    "ConnectionCheckOutStartedEvent",
    "ConnectionCheckedInEvent",
    "ConnectionCheckedOutEvent",
    "ConnectionClosedEvent",
    "ConnectionClosedReason",
    "ConnectionCreatedEvent",
    "ConnectionLeakedEvent",
    "ConnectionPoolListener",
    "ConnectionReadyEvent",
    "Event",
    "EventListener",
    "PoolClearedEvent",
    "PoolClosedEvent",
    "PoolCreatedEvent",
    "PoolReadyEvent",
    "ServerClosedEvent",
    "ServerDescriptionChangedEvent",
    "ServerHeartbeatFailedEvent",
    "ServerHeartbeatListener",
    "ServerHeartbeatStartedEvent",
    "ServerHeartbeatSucceededEvent",
    "ServerListener",
    "ServerOpeningEvent",
    "TopologyClosedEvent",
    "TopologyDescriptionChangedEvent",
    "TopologyEvent",
    "TopologyListener",
    "TopologyOpenedEvent",
    "on",
    "operation_id",
    "register",
]
