"""Datasets by name. One file adds one; anybody's own slides come through a CSV (`labelled`)."""

from bench.datasets.contract import Dataset, SlideRecord, load_dataset

DATASETS: dict[str, str] = {"demo": "bench.datasets.demo:load"}
"""Name -> `module:function`; the function takes a `Preset` and the data folder."""

__all__ = ["DATASETS", "Dataset", "SlideRecord", "load_dataset"]
