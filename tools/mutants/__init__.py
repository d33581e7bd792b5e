"""Mutation testing of the core: ``python -m tools.mutants [MODULE...]``, a module being, say, ``agenda``.

Every mutant of ``src/pool/_core`` is either killed by a test or stands in ``survivors.toml`` with the reason
why no test should: anything else is an error, and so is a line there that no survivor needs.

mutmut makes the mutants, and two more operators of our own. Its runner is not used: it starts pytest anew
for each mutant, at seconds apiece, and keeps no reasons. Here pytest collects the tests once and a child is
forked for each mutant; it puts the mutant's code into the function and runs the tests that reach it.
"""
