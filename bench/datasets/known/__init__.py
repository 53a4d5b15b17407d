"""Datasets that are known by name: one file each, and one line here."""

DATASETS: dict[str, str] = {
    "demo": "bench.datasets.known.demo:Demo",
    "bach": "bench.datasets.known.bach:Bach",
    "bach-wsi": "bench.datasets.known.bach_wsi:BachWsi",
    "tcga-prad": "bench.datasets.known.tcga_prad:TcgaPrad",
    "camelyon16": "bench.datasets.known.camelyon16:Camelyon16",
    "panda": "bench.datasets.known.panda:Panda",
    "mosaic": "bench.datasets.known.mosaic:Mosaic",
    "megapixel-mnist": "bench.datasets.known.megapixel_mnist:MegapixelMnist",
}
"""Name on the command line -> `module:Class`, a `DatasetSource`."""
