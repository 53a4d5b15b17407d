"""Where the evidence for a slide's label lies: annotations of every format as one type in level-0 pixels."""

from bench.datasets.evidence.check import check_annotation
from bench.datasets.evidence.files import annotation_exists
from bench.datasets.evidence.load import kinds_of, load_evidence
from bench.datasets.evidence.regions import SCHEMES, Evidence, Region

__all__ = ["SCHEMES", "Evidence", "Region", "annotation_exists", "check_annotation", "kinds_of", "load_evidence"]
