"""Mistakes that a user can mend, and the exit codes."""

OK, REGRESSION, USAGE, PARTIAL, NOT_COMPARABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class NotComparableError(ValueError):
    """Results that must not be set beside each other: one line with the reason; exit code 4."""


class UsageError(ValueError):
    """Bad input: one line that says what is wrong, what was got, what is allowed and what to do."""


class DamagedRunError(UsageError):
    """A run folder whose files are not what was written: one line that names it; the other runs go on."""
