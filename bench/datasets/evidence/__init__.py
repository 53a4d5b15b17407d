"""Where the evidence for a slide's label lies: annotations of every format as one type, in level-0 pixels."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "check": ["check_annotation"],
        "files": ["annotation_exists"],
        "load": ["kinds_of", "load_evidence"],
        "regions": ["SCHEMES", "Evidence", "Region"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.evidence.check import check_annotation as check_annotation
    from bench.datasets.evidence.files import annotation_exists as annotation_exists
    from bench.datasets.evidence.load import kinds_of as kinds_of
    from bench.datasets.evidence.load import load_evidence as load_evidence
    from bench.datasets.evidence.regions import SCHEMES as SCHEMES
    from bench.datasets.evidence.regions import Evidence as Evidence
    from bench.datasets.evidence.regions import Region as Region
