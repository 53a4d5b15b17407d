"""Where the evidence for a slide's label lies: annotations of every format as one type in level-0 pixels."""

from bench.evidence.check import check_annotation
from bench.evidence.files import annotation_exists
from bench.evidence.regions import SCHEMES, Evidence, Region, kinds_of, load_evidence

__all__ = ["SCHEMES", "Evidence", "Region", "annotation_exists", "check_annotation", "kinds_of", "load_evidence"]
