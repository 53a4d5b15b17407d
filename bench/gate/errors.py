"""What the gate cannot compare."""


class NotComparableError(ValueError):
    """Two measurements that must not be compared, or one that cannot be made: one line, exit code 4."""
