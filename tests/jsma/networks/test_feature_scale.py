import pytest
import torch

from jsma.networks.feature_scale import FeatureScale


def test_each_group_is_standardised_by_itself_and_normalised():
    generator = torch.Generator().manual_seed(0)
    groups = [torch.randn(400, 3, generator=generator) * (m + 1) + 10 * m for m in range(2)]
    scale = FeatureScale(2, 3).fit(groups)
    scaled = scale(torch.cat(groups), torch.tensor([0] * 400 + [1] * 400))
    torch.testing.assert_close(scaled.norm(dim=1), torch.ones(800))
    assert float(scaled[:400].mean(0).abs().max()) < 0.1 and float(scaled[400:].mean(0).abs().max()) < 0.1
    swapped = scale(groups[1], torch.zeros(400, dtype=torch.long))
    assert float(swapped.mean(0).abs().min()) > 0.3


def test_small_groups_borrow_and_dead_channels_stay_finite():
    rows = torch.tensor([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]])
    scale = FeatureScale(2, 2).fit([rows, rows[:0]])
    assert scale.mean[1].tolist() == pytest.approx([2.0, 5.0])
    assert torch.isfinite(scale(rows, torch.zeros(3, dtype=torch.long))).all()


def test_state_goes_round():
    scale = FeatureScale(1, 2).fit([torch.tensor([[1.0, 2.0], [3.0, 6.0]])])
    other = FeatureScale(1, 2)
    other.load_state_dict(scale.state_dict())
    assert torch.equal(other.mean, scale.mean) and torch.equal(other.std, scale.std)
