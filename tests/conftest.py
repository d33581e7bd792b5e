"""What holds for every test: where the library came from is shown, garbage is its own, CI skips nothing."""

import gc
import os
from collections.abc import Generator
from importlib.util import find_spec

import pytest
from hypothesis import settings

CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

#: For each property, the same ones every time; ``--hypothesis-profile quick`` tries fewer of them.
settings.register_profile("all", max_examples=400, deadline=None, derandomize=True, database=None)
settings.register_profile("quick", settings.get_profile("all"), max_examples=100)
settings.load_profile("all")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--schedules", type=int, default=150, help="of each scenario in tests/schedules, at most"
    )
    parser.addoption(
        "--at-least", type=int, default=0, help="schedules in each world, or the run fails"
    )


def pytest_report_header() -> str:
    spec = find_spec("pool")
    return f"pool: {spec.origin if spec else 'not installed'}"


def _no_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure. An expected failure is reported as skipped too, and stays."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI runs every test: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Hide from the collector what is there before any test runs.

    Many tests collect garbage, and would visit thousands of tests each time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
