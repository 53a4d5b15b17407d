import numpy as np
import pytest

from jsma.cells.grid import CellGrid, area_weights

GRID = CellGrid(1000, 530, 0.25, (0.5, 1.0, 2.0), 32)  # cells of 64, 128 and 256 level-0 pixels


def test_shapes_are_rows_by_columns():
    assert GRID.shapes == ((9, 16), (5, 8), (3, 4)) and GRID.n_cells == 144 + 40 + 12


@pytest.mark.parametrize("strides", ((), (1.0, 0.5, 0.5)))
@pytest.mark.parametrize("mpp0", (0.25, 0.2461, 0.5031))
def test_cell_centre_round_trip_is_exact(mpp0, strides):
    grid = CellGrid(1003, 531, mpp0, (0.5, 1.0, 2.0), 31, strides)
    flat = np.arange(grid.n_cells)
    m, row, col = grid.decode(flat)
    assert (grid.encode(m, row, col) == flat).all()
    side0 = np.asarray(grid.cell0)[m]
    assert (np.floor(grid.centres0(flat) / side0[:, None]) == np.stack([col, row], axis=1)).all()


def test_centre_is_x_then_y():
    flat = GRID.encode(np.array([1]), np.array([2]), np.array([5]))
    np.testing.assert_array_equal(GRID.centres0(flat), [[5.5 * 128, 2.5 * 128]])
    assert GRID.mpp_of(flat).tolist() == [1.0]


def test_area_weights_are_exact_fractions():
    np.testing.assert_allclose(area_weights(2, 15.0, 3, 10.0), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6)
    weights = area_weights(4, 7.3, 29, 1.0)
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="allowed: 0..195"):
        GRID.decode(np.array([196]))
    with pytest.raises(ValueError, match="positive"):
        CellGrid(0, 10, 0.5, (1.0,), 32)


def test_strides_overlap_coarse_patches_and_keep_their_centres_on_the_cells():
    grid = CellGrid(800, 400, 0.5, (0.5, 2.0), 50, strides=(1.0, 0.5))
    assert grid.cell0 == (50.0, 100.0) and grid.shapes == ((8, 16), (4, 8))
    last = np.array([grid.n_cells - 1])
    assert grid.centres0(last).tolist() == [[750.0, 350.0]] and grid.mpp_of(last).tolist() == [2.0]
    with pytest.raises(ValueError, match="one in"):
        CellGrid(800, 400, 0.5, (0.5, 2.0), 50, strides=(1.0,))


@pytest.mark.parametrize("side", (1, 2, 8, 16))
def test_the_path_goes_from_a_cell_to_one_that_touches_it(side):
    grid = CellGrid(side, side, 1.0, (1.0,), 1)
    _, row, col = grid.decode(grid.path)
    assert (np.abs(np.diff(row)) + np.abs(np.diff(col)) == 1).all()


def test_the_path_visits_every_cell_once_magnification_by_magnification():
    m, row, col = GRID.decode(GRID.path)
    assert sorted(GRID.path.tolist()) == list(range(GRID.n_cells)) and (np.diff(m) >= 0).all()
    apart = np.abs(np.diff(row)) + np.abs(np.diff(col))
    assert apart[np.diff(m) == 0].mean() < 2  # it leaves the square that holds the grid and comes back
