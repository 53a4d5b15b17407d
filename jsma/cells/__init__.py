"""Where a patch may be read: the grid of cells at every magnification, and which of them hold tissue."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["CellGrid", "area_weights", "overview_frame"],
        "hierarchy": ["parents"],
        "tissue": ["cell_mask", "tissue_mask"],
    },
)

if TYPE_CHECKING:
    from jsma.cells.grid import CellGrid as CellGrid
    from jsma.cells.grid import area_weights as area_weights
    from jsma.cells.grid import overview_frame as overview_frame
    from jsma.cells.hierarchy import parents as parents
    from jsma.cells.tissue import cell_mask as cell_mask
    from jsma.cells.tissue import tissue_mask as tissue_mask
