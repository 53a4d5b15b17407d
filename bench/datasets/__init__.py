"""Datasets by name. One file adds one; anybody's own slides come through a CSV (`labelled`)."""

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.loading import load_dataset, source_named

DATASETS: dict[str, str] = {
    "demo": "bench.datasets.demo:Demo",
    "bach": "bench.datasets.bach:Bach",
    "bach-wsi": "bench.datasets.bach_wsi:BachWsi",
    "tcga-prad": "bench.datasets.tcga_prad:TcgaPrad",
    "camelyon16": "bench.datasets.camelyon16:Camelyon16",
    "panda": "bench.datasets.panda:Panda",
    "megapixel-mnist": "bench.datasets.megapixel_mnist:MegapixelMnist",
}
"""Name -> `module:Class`, a `DatasetSource`."""

__all__ = ["DATASETS", "Card", "Dataset", "DatasetSource", "SlideRecord", "load_dataset", "source_named"]
