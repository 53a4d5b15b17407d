"""May a change go in? `contract` asks whether a strategy keeps its contract, `speed` whether anything became slower."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"contract": ["check_strategy"], "speed": ["check_against", "check_stored"]},
)

if TYPE_CHECKING:
    from bench.checks.contract import check_strategy as check_strategy
    from bench.checks.speed import check_against as check_against
    from bench.checks.speed import check_stored as check_stored
