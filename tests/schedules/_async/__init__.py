"""Schedules of tasks and of threads: of the scenarios in here, by ``pool.testing.explore``."""
