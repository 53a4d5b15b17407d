"""Labelled slides by name: what a dataset is, those that are known, and a user's own.

One file adds a dataset. Anybody's own slides come through a table (`labelled`) or through a class of their own.
"""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contract": ["Dataset", "DatasetSource"],
        "known": ["DATASETS"],
        "loading": ["load_dataset", "source_named"],
        "records": ["Card", "SlideRecord"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.contract import Dataset as Dataset
    from bench.datasets.contract import DatasetSource as DatasetSource
    from bench.datasets.known import DATASETS as DATASETS
    from bench.datasets.loading import load_dataset as load_dataset
    from bench.datasets.loading import source_named as source_named
    from bench.datasets.records import Card as Card
    from bench.datasets.records import SlideRecord as SlideRecord
