"""Decisions: who holds what, who waits, who may connect.

The rules of this room: every method of ``PoolCore`` is one whole critical section and returns what must now
be done; time is an argument; no lock, no I/O, no ``await``, no logging, no user code, no clock.
"""
