"""The twin: the only code that is written twice, once for each world.

``aio`` and ``sync`` have the same names with the same meaning. They touch asyncio *or* threads and know
nothing of pooling policy.
"""
