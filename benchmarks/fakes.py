"""Connections that lead nowhere, so that only the pools are measured."""


class FakeConnection:
    """Does nothing at all."""

    def close(self) -> None:
        pass


class FakeServer:
    """Opens connections, and knows how many.

    Parameters:
        kind: the class of its connections: some pools call methods of theirs.
    """

    def __init__(self, kind: type[FakeConnection] = FakeConnection) -> None:
        self.kind = kind
        self.opened = 0
        self.stock: list[FakeConnection] = []

    def prepare(self, n: int) -> None:
        """Make connections beforehand, so that opening them takes no memory."""
        self.stock = [self.kind() for _ in range(n)]

    def open(self) -> FakeConnection:
        self.opened += 1
        return self.stock.pop() if self.stock else self.kind()


class Indifferent:
    """A listener's methods for all events of a pool, which do nothing."""

    def ignore(self, event: object) -> None:
        pass

    pool_created = pool_ready = pool_cleared = pool_closed = ignore
    connection_created = connection_ready = connection_closed = connection_leaked = ignore
    connection_check_out_started = connection_check_out_failed = ignore
    connection_checked_out = connection_checked_in = ignore


# What users have: a tuple, whose hash Python does not keep.
Endpoint = tuple[str, int]
ENDPOINT: Endpoint = ("localhost", 7000)
