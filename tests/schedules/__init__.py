"""The pool in all the ways a small scenario can go, in both worlds.

Written once as async and generated. ``make test`` runs a few hundred schedules of each scenario, ``make
explore`` more than a hundred thousand in each world.
"""
