"""Datasets from their official sources: listed, downloaded, checked and unpacked. What breaks off is gone on with."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "download": ["Patience"],
        "gdc": ["gdc_files"],
        "listing": ["RemoteFile", "s3_bucket", "zenodo"],
        "whole_dataset": ["Fetched", "FetchSettings", "fetch"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.fetch.download import Patience as Patience
    from bench.datasets.fetch.gdc import gdc_files as gdc_files
    from bench.datasets.fetch.listing import RemoteFile as RemoteFile
    from bench.datasets.fetch.listing import s3_bucket as s3_bucket
    from bench.datasets.fetch.listing import zenodo as zenodo
    from bench.datasets.fetch.whole_dataset import Fetched as Fetched
    from bench.datasets.fetch.whole_dataset import FetchSettings as FetchSettings
    from bench.datasets.fetch.whole_dataset import fetch as fetch
