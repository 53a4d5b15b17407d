"""Needle mosaics: large slides of a user's own labelled tiles, whose evidence is known."""

from bench.datasets.generated.mosaic.folder import grid_of
from bench.datasets.generated.mosaic.make import make_mosaics
from bench.datasets.generated.mosaic.settings import MosaicSettings

__all__ = ["MosaicSettings", "grid_of", "make_mosaics"]
