"""Metrics against scikit-learn and statsmodels on random tables of several classes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bench.analysis.metrics import accuracy_interval, auc_or_reason, class_metrics, ece
from bench.analysis.statistics.pairs import difference, holm

CLASSES = ["low", "middle", "high", "top"]


def table(seed, n=80):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, n)
    score = rng.dirichlet(np.ones(4), n) + 0.4 * np.eye(4)[label]
    score /= score.sum(1, keepdims=True)
    rows = pd.DataFrame({f"prob_{name}": score[:, i] for i, name in enumerate(CLASSES)})
    return (
        rows.assign(
            slide=[f"s{i}" for i in range(n)],
            patient=None,
            label=np.array(CLASSES)[label],
            predicted=np.array(CLASSES)[score.argmax(1)],
        ),
        label,
        score,
    )


@pytest.mark.parametrize("seed", range(3))
def test_of_several_classes(seed):
    rows, label, score = table(seed)
    said = score.argmax(1)
    assert auc_or_reason(rows)["auc"] == pytest.approx(roc_auc_score(label, score, multi_class="ovr", average="macro"))
    by_class = [roc_auc_score(label == k, score[:, k]) for k in range(4)]
    assert auc_or_reason(rows)["auc"] == pytest.approx(np.mean(by_class))
    found = class_metrics(rows, CLASSES)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(label, said, weights="quadratic"))
    assert found["macro_f1"] == pytest.approx(f1_score(label, said, average="macro"))
    recalls = [(said[label == k] == k).mean() for k in range(4)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    low, high = proportion_confint((label == said).sum(), len(label), method="beta")
    assert accuracy_interval(rows)[1:] == pytest.approx((low, high))


def test_ece_is_the_sum_over_bins():
    rows, label, score = table(3)
    confidence, right, total = score.max(1), label == score.argmax(1), 0.0
    for k in range(10):
        own = (confidence > k / 10) & (confidence <= (k + 1) / 10)
        if own.any():
            total += own.mean() * abs(right[own].mean() - confidence[own].mean())
    assert ece(rows) == pytest.approx(total)


def test_an_absent_class_has_no_auc():
    rows, _, _ = table(4)
    assert auc_or_reason(rows[rows["label"] != "top"])["auc"] is None


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for n in (1, 2, 15):
        p = [*rng.uniform(0, 0.4, n), 0.03, 0.03]
        assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


def test_mcnemar_is_that_of_statsmodels():
    one, other = table(5)[0], table(6)[0]
    other["label"] = one["label"]
    found = difference(one, other)
    a, b = one["label"] == one["predicted"], other["label"] == other["predicted"]
    counts = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert found is not None and found.mcnemar_p == pytest.approx(mcnemar(counts, exact=True).pvalue)
