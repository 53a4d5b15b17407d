"""Reading regions: which stored tiles they need, and each of those tiles decoded once."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "plan": ["Plan", "cost_of", "make_plan"],
    },
)

if TYPE_CHECKING:
    from jsma.slides.reading.plan import Plan as Plan
    from jsma.slides.reading.plan import cost_of as cost_of
    from jsma.slides.reading.plan import make_plan as make_plan
