"""A soak: both worlds at once on real servers, on a long bad day. Run it with ``python -m soak``.

Threads and tasks work through pools of both worlds on one Redis and one PostgreSQL. Between them and the
servers are proxies and chaos managers, which are switched at random, and somebody meddles with the pools:
clears, resizes, removes, cancels, closes. Now and then it gets calm, and the books are checked. What is
needed to start the servers and to speak with them is taken from the tests.
"""
