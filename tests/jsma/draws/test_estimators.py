"""The main test of the method: exact enumeration of every sample, for value AND both gradients."""

import itertools
from pathlib import Path

import pytest
import torch

from bench.studies import estimator_bias
from bench.studies.estimator_bias import enumerate_bias, example, page
from jsma.draws.estimators import ESTIMATORS, estimate, murthy, murthy_ratio_exact, murthy_ratio_quadrature

EXACT = ("des-raj", "murthy", "with-replacement", "systematic")


@pytest.mark.parametrize("peaked", (True, False))
@pytest.mark.parametrize("n", (1, 2, 3, 4))
@pytest.mark.parametrize("name", EXACT)
def test_exact_estimators_are_unbiased(name, n, peaked):
    if name == "with-replacement" and n == 4:
        n = 3  # 6^4 tuples add time, not information
    bias = enumerate_bias(name, *example(peaked), n)
    assert max(bias.value, bias.feature_gradient, bias.attention_gradient) < 1e-10


@pytest.mark.parametrize("peaked", (True, False))
def test_horvitz_thompson_is_unbiased_over_its_threshold(peaked):
    bias = enumerate_bias("horvitz-thompson", *example(peaked), 2)
    assert max(bias.value, bias.feature_gradient, bias.attention_gradient) < 1e-6
    assert enumerate_bias("horvitz-thompson-normalised", *example(peaked), 2).value > 1e-5


def test_published_gradient_is_right_in_value_and_biased_in_attention():
    bias = enumerate_bias("published", *example(True), 3)
    assert max(bias.value, bias.feature_gradient) < 1e-10
    assert bias.attention_gradient > 0.3 and bias.cosine < 0.995


def test_murthy_never_spreads_more_than_des_raj():
    for peaked in (True, False):
        raj, murthy = (enumerate_bias(n, *example(peaked), 3).std for n in ("des-raj", "murthy"))
        assert murthy < raj


@pytest.mark.parametrize("peak", (0.0, 3.0, 7.0))
def test_murthy_quadrature_agrees_with_subset_sums(peak):
    logits = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits[0] += peak
    a = torch.softmax(logits, 0)[:6]
    torch.testing.assert_close(murthy_ratio_quadrature(a), murthy_ratio_exact(a), rtol=1e-4, atol=0)


@pytest.mark.parametrize("n", (2, 8))
def test_murthy_of_a_slide_read_whole_divides_by_no_mass(n):
    whole = torch.tensor([1.0] + [1e-20] * (n - 1), dtype=torch.float64)
    torch.testing.assert_close(murthy(whole), whole)
    both = murthy(torch.stack([whole, torch.full_like(whole, 0.5 / n)]))
    torch.testing.assert_close(both[0], whole)
    torch.testing.assert_close(both[1].sum(), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("n", (4, 12))
def test_murthy_of_many_slides_is_that_of_each(n):
    logits = 3 * torch.randn(2, 3, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    logits[0, 1, n:] = -1e3  # this slide is read whole: its weights are its attention
    a = torch.softmax(logits, -1)[..., :n]
    together = murthy(a)
    for i, j in itertools.product(range(2), range(3)):
        torch.testing.assert_close(together[i, j], murthy(a[i, j]), rtol=1e-12, atol=0)
    torch.testing.assert_close(together[0, 1], a[0, 1])
    torch.testing.assert_close(together.sum(-1), torch.ones(2, 3, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ("des-raj", "murthy", "horvitz-thompson", "systematic", "published"))
def test_all_cells_drawn_gives_the_expectation(name):
    logits, features = example(False)
    a = torch.softmax(logits, 0)
    phi = estimate(name, a, features, log_threshold=torch.tensor(-torch.inf))
    if name in ("murthy", "horvitz-thompson", "systematic"):
        torch.testing.assert_close(phi, a @ features)
    assert torch.isfinite(phi).all()


def test_groups_split_the_same_sum():
    logits, features = example(True)
    a, groups = torch.softmax(logits, 0)[:4], torch.tensor([1, 0, 2, 1])
    for name in (*EXACT, "published"):
        kappa = torch.tensor(-2.0)
        parts = estimate(name, a, features[:4], log_threshold=kappa, groups=groups, n_groups=4)
        torch.testing.assert_close(parts.sum(0), estimate(name, a, features[:4], log_threshold=kappa))
        assert parts.shape == (4, 3) and not parts[3].any() and parts[2].any()


@pytest.mark.parametrize("name", ("horvitz-thompson", "systematic"))
def test_errors_name_what_is_allowed(name):
    with pytest.raises(ValueError, match="des-raj"):
        estimate("none", torch.ones(1), torch.ones(1, 1))
    with pytest.raises(ValueError, match="log_threshold"):
        estimate(name, torch.ones(1), torch.ones(1, 1))


def test_a_systematic_draw_spreads_less_than_any_other_where_attention_is_flat():
    flat = {name: enumerate_bias(name, *example(False), 3).std for name in EXACT}
    assert flat.pop("systematic") < min(flat.values())


def test_the_table_of_the_document_is_current_and_holds_every_estimator():
    made = page()
    kept = (Path(__file__).resolve().parents[3] / "results" / "estimators.md").read_text()
    assert made == kept, "stale: jsma-bench study estimator-bias results/estimators.md"
    assert all(f"| {name}" in made for name in ESTIMATORS)


def test_a_table_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    """It is written aside and renamed: a kill between the two costs nothing."""

    def refused(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "t.md").write_text("old")
    monkeypatch.setattr(estimator_bias, "page", lambda: "new")
    with monkeypatch.context() as full:
        full.setattr("os.replace", refused)
        with pytest.raises(OSError, match="No space left"):
            estimator_bias.write_page(tmp_path / "t.md")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("t.md", "old")]
    estimator_bias.write_page(tmp_path / "t.md")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("t.md", "new")]


def test_top_n_is_biased_and_has_no_spread():
    bias = enumerate_bias("truncated", *example(True), 3)
    assert bias.value > 1e-3 and bias.std == pytest.approx(0, abs=1e-7) and bias.gradient_std < 1e-6


def test_the_spread_of_the_gradient_is_that_of_repeated_draws():
    """Against a plain simulation of one draw: f_i . g (one-hot of i - a), with probability a_i."""
    logits, features = example(True)
    a, g = torch.softmax(logits, 0), torch.linspace(-1.0, 1.5, 3, dtype=torch.float64)
    slope, truth = features @ g, torch.zeros(6).double()
    square = 0.0
    for i, p in enumerate(a.tolist()):
        gradient = slope[i] * (torch.eye(6).double()[i] - a)
        truth, square = truth + p * gradient, square + p * float(gradient @ gradient)
    expected = ((square - float(truth @ truth)) ** 0.5) / float(truth.norm())
    assert enumerate_bias("with-replacement", logits, features, 1).gradient_std == pytest.approx(expected)
