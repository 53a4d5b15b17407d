"""Before any test module: cuCIM can hang, or print, in a process that imported torch first."""

from contextlib import suppress

with suppress(ImportError):
    import cucim  # noqa: F401
