"""Verdicts: Yuen's interval against its formula; false alarms and detections over thousands of simulated checks."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.checks.speed import against_revision, two_looks
from bench.checks.speed.against_revision import compare_sides
from bench.checks.speed.conditions import Conditions
from bench.checks.speed.measuring.measure import Counted, Samples
from bench.checks.speed.measuring.process import ROOT, Rig, Side
from bench.checks.speed.verdict import decide
from bench.checks.speed.verdict.findings import exit_code

BASE, HEAD = Side("base", ROOT), Side("head", ROOT)


@pytest.mark.parametrize("n", [3, 4, 5, 8, 12, 17])
def test_interval_is_yuens(n):
    """Scipy has the test for two samples: against one that does not vary, it is the test of one."""
    values = np.random.default_rng(n).standard_t(3, n) * 0.05
    still = np.random.default_rng(0).normal(0, 1e-9, 2000)
    reference = stats.ttest_ind(values, still, equal_var=False, trim=0.2)
    low, high = reference.confidence_interval(1 - 2 * decide.ALPHA)
    found = decide.compare_paired(values)
    assert [math.log(found.low), math.log(found.high)] == pytest.approx([low, high], abs=1e-6)
    assert math.log(found.ratio) == pytest.approx(stats.trim_mean(values, 0.2), abs=1e-12)
    one_sided = stats.ttest_ind(values, still, equal_var=False, trim=0.2, alternative="greater").pvalue
    assert found.p == pytest.approx(one_sided, abs=1e-5)


def test_two_spoilt_blocks_of_twelve_change_little():
    values = np.random.default_rng(0).normal(0.12, 0.02, 12)
    spoilt = values.copy()
    spoilt[:2] = [-0.9, 1.1]
    assert decide.is_slower(decide.compare_paired(values), 0.05) and decide.is_slower(
        decide.compare_paired(spoilt), 0.05
    )


def test_unpaired_against_shifted_samples():
    old = np.exp(np.random.default_rng(0).normal(0, 0.02, 8))
    new = np.exp(np.random.default_rng(1).normal(math.log(1.4), 0.02, 8))
    found = decide.compare_unpaired(old, new)
    assert found.low < found.ratio < found.high and found.ratio == pytest.approx(1.4, rel=0.03)
    assert decide.is_slower(found, 0.25) and not decide.is_slower(found, 0.45)
    back = decide.compare_unpaired(new, old)
    assert back.ratio == pytest.approx(1 / found.ratio) and back.high < 1 and back.p > 0.99


def test_a_block_is_its_lower_quartile_and_a_ratio_is_within_a_block():
    assert decide.block_seconds([1, 2, 3, 4, 900]) == 2
    assert decide.log_ratios([[1, 1, 9], [10, 10, 10]], [[2, 2, 2], [20, 20, 90]]) == pytest.approx([math.log(2)] * 2)


def test_too_few_blocks_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        decide.compare_paired([0.1, 0.2])


class Machine:
    """A noisy machine: memory lies elsewhere in every process, bursts hit a sample now and then, tails are heavy."""

    def __init__(self, seed: int, slower: dict[str, float], lie: float, operations: int = 10):
        self.rng, self.slower, self.lie = np.random.default_rng(seed), slower, lie
        self.operations = [f"o{i}" for i in range(operations)]
        self.asked = []

    def measure(self, sides, rig, groups, amount, report):
        found = Samples()
        self.asked.append((amount.blocks, [name for group in groups for name in group]))
        for name in self.asked[-1][1]:
            shape = (amount.blocks, amount.samples)
            drift = np.exp(self.rng.normal(0, 0.1, (amount.blocks, 1)))  # of the hour, on both sides alike
            for side in sides:
                lie = np.exp(self.rng.normal(0, self.lie, (amount.blocks, 1)))
                tail = np.exp(0.05 * np.abs(self.rng.standard_t(2, shape)).clip(0, 60))
                burst = np.where(self.rng.random(shape) < 0.05, 1.6, 1.0)
                seconds = drift * lie * tail * burst
                if side is sides[1]:
                    seconds = seconds * (1 + self.slower.get(name, 0.0))
                found.seconds.setdefault("cpu", {}).setdefault(name, {})[side.name] = seconds.tolist()
        return found


def checks(monkeypatch, number, slower, lie, seed):
    """Exit codes of simulated checks, and the machine; lie: spread of a process's times against another's."""
    machine = Machine(seed, slower, lie)
    monkeypatch.setattr(two_looks, "measure", machine.measure)
    monkeypatch.setattr(
        against_revision, "count", lambda *_: [Counted({name: {"tiles": 7} for name in machine.operations}, {})] * 2
    )
    how = Conditions(Rig(ROOT))
    codes = [exit_code(compare_sides(BASE, HEAD, machine.operations, how, {}).findings) for _ in range(number)]
    return np.array(codes), machine


def test_same_code_raises_no_alarm(monkeypatch):
    codes, machine = checks(monkeypatch, 2000, {}, lie=0.05, seed=1)
    second = sum(blocks > Conditions(Rig(ROOT)).amount.blocks for blocks, _ in machine.asked)
    assert second > 600  # the noise is such that one look by eye would cry out in every third check
    assert set(codes) <= {0, 1} and (codes == 1).sum() <= 4


def test_fifteen_per_cent_in_the_read_path_is_found(monkeypatch):
    """A read also plans and copies: of 15 % more decoding, 12 % reach one operation, half of it two others."""
    codes, _ = checks(monkeypatch, 200, {"o0": 0.12, "o1": 0.06, "o2": 0.06}, lie=0.025, seed=2)
    assert set(codes) <= {0, 1} and (codes == 1).mean() >= 0.97


def test_noise_floor_holds_what_same_code_shows(monkeypatch):
    machine = Machine(3, {}, lie=0.025, operations=1)
    how = Conditions(Rig(ROOT))

    def ratios(blocks):
        found = machine.measure((BASE, HEAD), None, [("o0",)], how.second_look.__class__(blocks, 12), None)
        sides = found.seconds["cpu"]["o0"]
        return decide.log_ratios(sides["base"], sides["head"])

    floors = [decide.noise_floor(ratios(12), 5) for _ in range(60)]
    shown = np.abs([math.log(decide.compare_paired(ratios(5)).ratio) for _ in range(400)])
    assert (shown < math.log1p(np.median(floors))).mean() >= 0.97
    assert np.median(floors) < 3.2 * np.sqrt((shown**2).mean())  # and it is no wider than it has to be
