import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from jsma.cells.grid import CellGrid
from jsma.draws.estimators import ESTIMATORS
from jsma.model import JSMA, JSMASettings
from jsma.networks.attention import pools_of

GRID = CellGrid(96, 64, 1.0, (1.0, 2.0), 8)  # 8 x 12 and 4 x 6 cells
SIZES = (96, 24)


def settings(**changes):
    return JSMASettings(**{"n_patches": 6, "mpps": (1.0, 2.0), **changes})


def slide(label, generator):
    """A dark 24 x 24 square on a pale overview; its patches tell the class, the others say nothing."""
    row, col = (int(torch.randint(0, k, (1,), generator=generator)) for k in (2, 4))
    overview = torch.full((3, 64, 96), 0.9)
    overview[:, row * 24 : row * 24 + 24, col * 24 : col * 24 + 24] = 0.1

    def read(cells):
        m, i, j = GRID.decode(cells)
        hit = (i * (m + 1) // 3 == row) & (j * (m + 1) // 3 == col)
        patches = np.zeros((len(cells), 8, 8, 3), np.uint8)
        patches[..., 0] = np.where(hit, 1 + label, 0)[:, None, None]
        return patches

    return overview, read


def encode(patches):
    return torch.nn.functional.one_hot(patches[:, 0, 0, 0].long(), 3).float()


def test_learns_where_to_look():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = JSMA(settings(entropy_weight=0.05), 3, 2)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    right = []
    for step in range(400):
        loss = torch.zeros(())
        for label in (0, 1):
            overview, read = slide(label, generator)
            out = model(overview, GRID, read, encode, generator=generator)
            loss = loss + torch.nn.functional.cross_entropy(out.logits[None], torch.tensor([label]))
            loss = loss + model.regulariser(out.log_a)
            if step >= 350:
                right.append(int(out.logits.argmax()) == label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("factorised", (False, True))
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_are_finite_and_reach_every_parameter(estimator, factorised):
    generator = torch.Generator().manual_seed(0)
    model = JSMA(settings(estimator=estimator, factorised=factorised, hidden=4), 3, 2)
    overview, read = slide(0, generator)
    mask = torch.rand(120, generator=generator) > 0.5
    out = model(overview, GRID, read, encode, mask=mask, generator=generator)
    (out.logits[0] + model.regulariser(out.log_a)).backward()
    assert mask[out.draw.indices].all()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name


@pytest.mark.parametrize("factorised", (False, True))
def test_magnifications_start_balanced_under_a_mask(factorised):
    model = JSMA(settings(factorised=factorised), 3, 2)
    mask = torch.ones(1, 120, dtype=torch.bool)
    mask[:, :50] = False
    log_a = model.attend(torch.rand(1, 3, 64, 96), pools_of(GRID, (64, 96)), mask)
    assert float((model.p_m(log_a, SIZES) - 0.5).abs().max()) < 0.05
    assert float(log_a.exp().sum()) == pytest.approx(1, abs=1e-4)
    mask[:, 96:] = False
    log_a = model.attend(torch.rand(1, 3, 64, 96), pools_of(GRID, (64, 96)), mask)
    assert model.p_m(log_a, SIZES)[0].tolist() == pytest.approx([1, 0], abs=1e-4)


def test_top_is_deterministic_and_regulariser_is_scaled():
    model = JSMA(settings(sampling="top"), 3, 2).eval()
    log_a = torch.log_softmax(torch.randn(1, 120), 1)
    assert torch.equal(model.draw(log_a)[0].indices, log_a[0].topk(6).indices)
    assert float(model.regulariser(torch.full((2, 120), -math.log(120))).mean()) == pytest.approx(-0.3)
    with pytest.raises(ValueError, match="estimator"):
        settings(estimator="x")


def test_package_import_does_not_load_torch():
    code = "import sys, jsma; assert 'torch' not in sys.modules; jsma.JSMA; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_patch_goes_through_the_layer_of_its_own_magnification():
    torch.manual_seed(0)
    model = JSMA(settings(adapter_dim=4), 3, 2).double()
    features = torch.nn.functional.normalize(torch.randn(2, 5, 3, dtype=torch.float64), dim=-1)
    magnification = torch.tensor([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]])
    got = model.adapted(features, magnification)
    for b in range(2):
        for k in range(5):
            layer = model.adapted.layers[int(magnification[b, k])]
            expected = (layer.weight @ (features[b, k] * math.sqrt(3)) + layer.bias).clamp_min(0) / math.sqrt(4)
            assert torch.allclose(got[b, k], expected, atol=1e-12)
    assert JSMA(settings(adapter_dim=0), 3, 2).adapted(features, magnification) is features


def test_the_entropy_over_magnifications_is_annealed_to_nothing_at_half_of_training():
    model = JSMA(settings(entropy_weight=0.0, magnification_entropy_weight=0.4), 3, 2)
    even = torch.cat([torch.full((96,), 0.5 / 96), torch.full((24,), 0.5 / 24)]).log()
    uneven = torch.cat([torch.full((96,), 0.9 / 96), torch.full((24,), 0.1 / 24)]).log()
    h = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    for share, left in ((0.0, 1.0), (0.25, 0.5), (0.5, 0.0), (1.0, 0.0)):
        model.set_progress(share)
        assert float(model.regulariser(even, SIZES)) == pytest.approx(-0.4 * left)
        assert float(model.regulariser(uneven, SIZES)) == pytest.approx(-0.4 * left * h, abs=1e-6)
    assert float(model.regulariser(even)) == 0.0


@pytest.mark.parametrize(
    "changes", ({"adapter_dim": -1}, {"magnification_entropy_weight": -0.1}, {"smoothing_eps": 1.0})
)
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError):
        settings(**changes)


def test_the_example_of_the_readme_learns_from_what_it_draws(capsys):
    found = runpy.run_path(str(Path(__file__).with_name("alone.py")))
    assert found["logits"].shape == (2, 2) and found["log_a"].shape == (2, found["grid"].n_cells)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in found["model"].attention.parameters())
    assert "(2, 2)" in capsys.readouterr().out
