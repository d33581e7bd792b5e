"""What a conformance run found. The same for both worlds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["ConformanceError", "ConformanceReport", "FailedError", "Finding", "SkippedError"]


@dataclass(frozen=True)
class Finding:
    """What came out of one check.

    Attributes:
        check: what is to be true.
        result: whether it is, or why nobody can tell.
        reason: why it is not; nothing if it is.
    """

    check: str
    result: Literal["passed", "failed", "skipped"]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.reason}" if self.reason else self.check


@dataclass(frozen=True)
class ConformanceReport:
    """What ``check_manager`` found; ``str`` of it is a table.

    Attributes:
        manager: the ``repr`` of what was checked.
        endpoint: where.
        findings: one for each check, in their order.
    """

    manager: str
    endpoint: Any
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> tuple[Finding, ...]:
        """What is as it should be."""
        return self._with("passed")

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What is not, with the reasons."""
        return self._with("failed")

    @property
    def skipped(self) -> tuple[Finding, ...]:
        """What could not be checked, with the reasons."""
        return self._with("skipped")

    def _with(self, result: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.result == result)

    def __str__(self) -> str:
        counts = (
            f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
        )
        rows = [f"  {finding.result:8} {finding}" for finding in self.findings]
        return "\n".join([f"{self.manager} at {self.endpoint!r}: {counts}", *rows])


class ConformanceError(AssertionError):
    """A manager does not keep its part of the contract. ``report`` has everything.

    Parameters:
        report: with at least one failure.
    """

    def __init__(self, report: ConformanceReport) -> None:
        super().__init__(_text(report, report.failed))
        self.report = report


def _text(report: ConformanceReport, failed: Iterable[Finding]) -> str:
    lines = [f"  - {finding}" for finding in failed]
    checks = f"{len(lines)} of {len(report.findings)} checks failed"
    return "\n".join([f"{report.manager} at {report.endpoint!r}: {checks}", *lines])


class FailedError(Exception):
    """A check failed; the text says why."""


class HookRaisedError(FailedError):
    """A hook raised what it should not have.

    Parameters:
        name: the hook's.
        error: what it raised.
    """

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(f"{name} raised {error!r}")
        self.error = error


class SkippedError(Exception):
    """A check cannot be made; the text says why."""
