"""What the kit needs of each world: the hand-written twin ``aio`` and ``sync``, under the same names."""
