"""Making runs: what is asked becomes a plan, a runner makes the runs of the plan, and `kept` has them on disk.

A run is one strategy, trained with one seed on one fold of one dataset, and tested on the slides of that fold.
"""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "context": ["Context"],
        "layout": ["Provenance", "read_provenance"],
        "result": ["Result"],
        "runner": ["Plan", "Runner"],
    },
)

if TYPE_CHECKING:
    from bench.runs.context import Context as Context
    from bench.runs.layout import Provenance as Provenance
    from bench.runs.layout import read_provenance as read_provenance
    from bench.runs.result import Result as Result
    from bench.runs.runner import Plan as Plan
    from bench.runs.runner import Runner as Runner
