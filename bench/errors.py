"""Mistakes that a user can mend, and the exit codes."""

from collections.abc import Mapping

OK, REGRESSION, USAGE, PARTIAL, NOT_COMPARABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class NotComparableError(ValueError):
    """Results that must not be set beside each other: one line with the reason; exit code 4."""


class UsageError(ValueError):
    """Bad input: one line that says what is wrong, what was got, what is allowed and what to do."""


class DamagedRunError(UsageError):
    """A run folder whose files are not what was written: one line that names it; the other runs go on."""


def listed(failed: Mapping[str, str], most: int = 3) -> str:
    """A line that says how many slides failed, and why the first `most` did; `failed`: slide -> reason."""
    first = [why if slide in why else f"{slide}: {why}" for slide, why in list(failed.items())[:most]]
    more = f"; {len(failed) - len(first)} more" if len(failed) > len(first) else ""
    return f"{len(failed)} failed: {'; '.join(first)}{more}"


class FindingsError(UsageError):
    """Data that a run should not train on unless the user says so: a line for each finding."""
