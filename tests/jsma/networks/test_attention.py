import numpy as np
import pytest
import torch

from jsma.cells.grid import CellGrid
from jsma.networks.attention import AttentionNet, pools_of

GRID = CellGrid(960, 640, 1.0, (1.0, 2.0), 80)  # 8 x 12 and 4 x 6 cells


def brightness_net():
    """A net whose logits are the mean overview brightness of the cell."""
    net = AttentionNet(2, 4)
    net.layers = torch.nn.Conv2d(3, 4, 1)
    for p in (*net.layers.parameters(), *net.heads.parameters()):
        torch.nn.init.ones_(p)
    return net


@pytest.mark.parametrize(("row", "col"), ((1, 9), (6, 2), (7, 11), (0, 0)))
def test_a_blob_raises_exactly_the_cell_at_its_place(row, col):
    overview = torch.zeros(1, 3, 64, 96)
    overview[:, :, row * 8 : row * 8 + 8, col * 8 : col * 8 + 8] = 1.0
    fine, coarse = brightness_net()(overview, pools_of(GRID, (64, 96)))
    assert np.flatnonzero((fine > fine.min() + 0.1).numpy()[0]).tolist() == [row * 12 + col]
    assert int(coarse.argmax()) == row // 2 * 6 + col // 2
    centre = GRID.centres0(np.array([int(fine.argmax())]))[0] / 10
    assert overview[0, 0, int(centre[1]), int(centre[0])] == 1.0


def test_trained_form_sees_the_blob_where_it_is():
    torch.manual_seed(0)
    net, pools = AttentionNet(2), pools_of(GRID, (64, 96))
    blank = torch.full((1, 3, 64, 96), 0.9)
    painted = blank.clone()
    painted[:, :, 16:24, 64:72] = 0.2
    change = (net.layers[:2](painted) - net.layers[:2](blank)).abs().mean(1)  # first convolution and norm
    assert change[0, 16:24, 64:72].mean() > 2 * change[0, 40:, :40].mean()
    assert net.cells(painted, pools).shape == (1, 96 + 24)


def test_blank_overview_has_no_border_effect():
    logits = AttentionNet(2).cells(torch.full((1, 3, 64, 96), 0.9), pools_of(GRID, (64, 96)))
    assert float((logits[:, :96] - logits[:, :1]).detach().abs().max()) < 1e-5


def test_receptive_field_is_at_least_15_pixels():
    assert 1 + 2 * sum(AttentionNet.dilations) >= 15


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="pools"):
        AttentionNet(3)(torch.zeros(1, 3, 64, 96), pools_of(GRID, (64, 96)))
