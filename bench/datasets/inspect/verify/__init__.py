"""Does a copy of a dataset hold what it should? Every slide is looked at and compared with the others."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checks": ["CHECKS", "Finding"],
        "verdict": ["Verdict", "VerifySettings", "verify"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.inspect.verify.checks import CHECKS as CHECKS
    from bench.datasets.inspect.verify.checks import Finding as Finding
    from bench.datasets.inspect.verify.verdict import Verdict as Verdict
    from bench.datasets.inspect.verify.verdict import VerifySettings as VerifySettings
    from bench.datasets.inspect.verify.verdict import verify as verify
