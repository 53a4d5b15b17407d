"""Datasets by name. One file adds one; anybody's own slides come through a CSV (`labelled`)."""

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.loading import load_dataset, source_named

DATASETS: dict[str, str] = {
    "demo": "bench.datasets.known.demo:Demo",
    "bach": "bench.datasets.known.bach:Bach",
    "bach-wsi": "bench.datasets.known.bach_wsi:BachWsi",
    "tcga-prad": "bench.datasets.known.tcga_prad:TcgaPrad",
    "camelyon16": "bench.datasets.known.camelyon16:Camelyon16",
    "panda": "bench.datasets.known.panda:Panda",
    "megapixel-mnist": "bench.datasets.known.megapixel_mnist:MegapixelMnist",
}
"""Name -> `module:Class`, a `DatasetSource`."""

__all__ = ["DATASETS", "Card", "Dataset", "DatasetSource", "SlideRecord", "load_dataset", "source_named"]
