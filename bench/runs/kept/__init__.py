"""Runs on disk: their directories, named by what decides the run, are written, checked and read back here."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "choice": ["Choice"],
        "directory": ["RunDirectory"],
        "finished": ["FinishedRun", "load_all", "load_runs"],
        "identity": ["RunKey"],
        "record": ["Record"],
    },
)

if TYPE_CHECKING:
    from bench.runs.kept.choice import Choice as Choice
    from bench.runs.kept.directory import RunDirectory as RunDirectory
    from bench.runs.kept.finished import FinishedRun as FinishedRun
    from bench.runs.kept.finished import load_all as load_all
    from bench.runs.kept.finished import load_runs as load_runs
    from bench.runs.kept.identity import RunKey as RunKey
    from bench.runs.kept.record import Record as Record
