import numpy as np
import pytest

from jsma.grid import CellGrid
from jsma.tissue import cell_mask, tissue_mask


def painted():
    """Glass with eosin pink, haematoxylin purple and blue, green and black pen: uint8 [80, 120, 3]."""
    image = np.random.default_rng(0).integers(238, 246, (80, 120, 3)).astype(np.uint8)
    image[10:40, 10:30] = (225, 150, 190)
    image[10:40, 30:50] = (120, 80, 150)
    image[50:60, 10:50] = (30, 60, 200)
    image[50:60, 60:100] = (20, 140, 60)
    image[65:75, 10:50] = (15, 15, 20)
    return image


def test_tissue_is_kept_and_glass_and_ink_are_not():
    want = np.zeros((80, 120), bool)
    want[10:40, 10:50] = True
    assert (tissue_mask(painted()) != want).mean() < 0.01


def test_blank_glass_has_no_tissue():
    assert not tissue_mask(np.full((70, 70, 3), 243, np.uint8)).any()


def test_full_tissue_stays_whole():
    noise = np.random.default_rng(1).integers(-10, 10, (70, 70, 1))
    assert tissue_mask((np.array([200, 120, 180]) + noise).astype(np.uint8)).mean() > 0.99


def test_cell_mask_pools_area():
    grid = CellGrid(400, 200, 1.0, (1.0,), 100)
    mask = np.zeros((20, 40), bool)
    mask[10:, 20:25] = True  # half of cell (1, 2)
    assert np.flatnonzero(cell_mask(mask, grid, 0.5)).tolist() == [6]
    assert not cell_mask(mask, grid, 0.51).any()
    with pytest.raises(ValueError, match="uint8"):
        tissue_mask(np.zeros((3, 3, 3)))
