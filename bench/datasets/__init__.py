"""Datasets by name. One file adds one; anybody's own slides come through a CSV (`labelled`)."""

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.known import DATASETS
from bench.datasets.loading import load_dataset, source_named

__all__ = ["DATASETS", "Card", "Dataset", "DatasetSource", "SlideRecord", "load_dataset", "source_named"]
