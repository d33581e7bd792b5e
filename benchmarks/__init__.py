"""The price of an uncontended checkout: this library beside others. ``python -m benchmarks``."""
