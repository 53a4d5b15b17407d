"""What is observed while a run is made, beside its costs: energy, page cache, and where a strategy looked."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "energy": ["EnergyMeter"],
        "page_cache": ["COLD", "WARM"],
        "snapshots": ["Snapshot", "read_snapshots"],
    },
)

if TYPE_CHECKING:
    from bench.runs.observed.energy import EnergyMeter as EnergyMeter
    from bench.runs.observed.page_cache import COLD as COLD
    from bench.runs.observed.page_cache import WARM as WARM
    from bench.runs.observed.snapshots import Snapshot as Snapshot
    from bench.runs.observed.snapshots import read_snapshots as read_snapshots
