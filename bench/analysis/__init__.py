"""Finished runs to numbers, and the columns that say what each number is called. No model is run here."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "columns.column": ["Column"],
        "comparison": ["Compared", "compare_folders"],
        "entries": ["Entry", "group_runs"],
        "rows": ["compare"],
        "sweep_rows": ["compute_sweep_rows"],
    },
)

if TYPE_CHECKING:
    from bench.analysis.columns.column import Column as Column
    from bench.analysis.comparison import Compared as Compared
    from bench.analysis.comparison import compare_folders as compare_folders
    from bench.analysis.entries import Entry as Entry
    from bench.analysis.entries import group_runs as group_runs
    from bench.analysis.rows import compare as compare
    from bench.analysis.sweep_rows import compute_sweep_rows as compute_sweep_rows
