import hashlib

import numpy as np
import pytest

from jsma.cells.grid import CellGrid
from jsma.cells.tissue import cell_mask, tissue_mask


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


@pytest.mark.parametrize("light", [1.0, 0.8], ids=["bright glass", "grey glass"])
@pytest.mark.parametrize("noise", [0, 1], ids=["grey", "grey with noise of colour"])
def test_grey_tissue_is_told_by_its_darkness(light, noise):
    """One channel, or a stain without colour: pale and dark tissue on uneven glass, black pen."""
    rng = np.random.default_rng(4)
    grey = rng.normal(240, 1.5, (80, 120)) - np.linspace(0, 6, 120)
    grey[10:40, 10:30], grey[10:40, 30:50] = rng.normal(175, 8, (30, 20)), rng.normal(95, 12, (30, 20))
    grey *= light
    grey[50:70, 60:100] = 15
    image = np.repeat(grey[..., None], 3, axis=2) + rng.integers(0, noise + 1, (80, 120, 3))
    want = np.zeros((80, 120), bool)
    want[10:40, 10:50] = True
    assert (tissue_mask(image.clip(0, 255).astype(np.uint8)) != want).mean() < 0.01


def test_grey_glass_and_grey_tissue_everywhere():
    rng = np.random.default_rng(5)
    glass = np.repeat(rng.integers(225, 238, (70, 70, 1)), 3, axis=2).astype(np.uint8)
    assert not tissue_mask(glass).any()
    full = np.repeat(rng.integers(90, 150, (70, 70, 1)), 3, axis=2).astype(np.uint8)
    assert tissue_mask(full).mean() > 0.98


def test_masks_of_coloured_slides_are_as_they_were():
    """Counters that are published rest on them: digest of the masks as the rule for colour made them."""
    pale = painted()
    pale[:, :, :] = 240
    pale[20:24, 20:24] = (230, 210, 228)  # a speck of colour on grey glass decides by colour
    pale[40:60, 40:60] = 150
    masks = [tissue_mask(image) for image in (painted(), pale)]
    digest = hashlib.sha256(np.packbits(np.stack(masks)).tobytes()).hexdigest()[:12]
    assert digest == "7dbcbc55ea4a"
    assert not masks[1][40:60, 40:60].any()


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
