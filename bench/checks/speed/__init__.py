"""The throughput gate: exact counters, ratios within one run, and absolute times on one machine."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "against_baseline": ["check_stored", "take_baseline"],
        "against_revision": ["check_against", "measure_noise"],
        "baseline_file": ["load_baseline", "save_baseline"],
        "conditions": ["CheckResult", "Conditions", "Limits"],
    },
)

if TYPE_CHECKING:
    from bench.checks.speed.against_baseline import check_stored as check_stored
    from bench.checks.speed.against_baseline import take_baseline as take_baseline
    from bench.checks.speed.against_revision import check_against as check_against
    from bench.checks.speed.against_revision import measure_noise as measure_noise
    from bench.checks.speed.baseline_file import load_baseline as load_baseline
    from bench.checks.speed.baseline_file import save_baseline as save_baseline
    from bench.checks.speed.conditions import CheckResult as CheckResult
    from bench.checks.speed.conditions import Conditions as Conditions
    from bench.checks.speed.conditions import Limits as Limits
