"""Connections that lead nowhere, so that only the pools are measured."""


class FakeConnection:
    """Does nothing at all."""

    def close(self) -> None:
        pass


class FakeServer:
    """Opens connections, and knows how many."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self) -> FakeConnection:
        self.opened += 1
        return FakeConnection()


# What users have: a tuple, whose hash Python does not keep.
ENDPOINT = ("localhost", 7000)
