"""The demo: one workload in both worlds, against a server that dies half-way.

Read ``threads.py`` and ``tasks.py`` side by side: they are the same program, written by hand. The rest
is what both share: the server, the job that hands out requests and verifies replies, the listener that
counts events, and the report. Nothing here is imported by ``import pool``.
"""
