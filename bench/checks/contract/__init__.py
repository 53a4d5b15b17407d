"""Does a strategy keep its contract? Checked on small slides in memory."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"checks": ["CHECKS", "Finding", "check_strategy"]}
)

if TYPE_CHECKING:
    from bench.checks.contract.checks import CHECKS as CHECKS
    from bench.checks.contract.checks import Finding as Finding
    from bench.checks.contract.checks import check_strategy as check_strategy
