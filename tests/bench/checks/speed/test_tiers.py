"""The three tiers against a stored baseline, on simulated times: what fails, is looked at again, is refused."""

import json
import os
from dataclasses import asdict, replace

import numpy as np
import pytest

from bench.checks.speed import against_baseline, two_looks
from bench.checks.speed.baseline_file import check_free, known_noise, load_baseline, save_baseline
from bench.checks.speed.conditions import HERE, Conditions
from bench.checks.speed.gauge.clocks import CLOCKS
from bench.checks.speed.gauge.operations import OPERATIONS, RATIOS
from bench.checks.speed.gauge.workload import Sizes
from bench.checks.speed.measuring.measure import Counted, Samples
from bench.checks.speed.measuring.process import ROOT, Rig
from bench.checks.speed.verdict.findings import exit_code
from bench.errors import NotComparableError, UsageError

COUNTERS = {name: {"tiles": 3, "patches": 2} for name in OPERATIONS}


class Fake:
    """Times of 1 s with 2 % noise, of `slower` operations more; `once` is slower in the first look only."""

    def __init__(self):
        self.rng, self.slower, self.once, self.looks, self.broken = np.random.default_rng(0), {}, {}, [], set()
        self.breaks_after_first = set()

    def measure(self, sides, rig, groups, amount, report):
        names = [name for group in groups for name in group]
        self.looks.append((amount.blocks, names))
        self.broken |= self.breaks_after_first if len(self.looks) > 1 else set()
        found = Samples()
        for name in names:
            if name in self.broken:
                found.errors.setdefault(HERE.name, {})[name] = "broken"
                continue
            factor = 1 + self.slower.get(name, 0) + self.once.pop(name, 0)
            for _ in range(amount.blocks):
                lie = factor * np.exp(self.rng.normal(0, 0.02))
                found.add(name, HERE.name, [{"cpu": lie * (1 + 0.01 * i), "wall": 2 * lie} for i in range(9)])
        return found


@pytest.fixture
def fake(monkeypatch):
    made = Fake()
    for module in (against_baseline, two_looks):
        monkeypatch.setattr(module, "measure", made.measure)
    monkeypatch.setattr(against_baseline, "count", lambda *_: [Counted({k: dict(v) for k, v in COUNTERS.items()}, {})])
    return made


@pytest.fixture
def how(gate_data):
    return Conditions(Rig(next(gate_data.glob("gate-*"))))


@pytest.fixture
def stored(fake, how, tmp_path):
    taken = against_baseline.take_baseline(replace(how, amount=replace(how.amount, blocks=8)))
    save_baseline(taken, tmp_path / "sub" / "b.json")
    fake.looks.clear()
    return load_baseline(tmp_path / "sub" / "b.json")


def failing(checked):
    return {(f.tier, f.name) for f in checked.findings if f.verdict == "regression"}


def test_unchanged_code_passes_in_one_look(fake, how, stored):
    checked = against_baseline.check_stored(stored, None, how)
    assert exit_code(checked.findings) == 0 and len(fake.looks) == 1
    named = {(f.tier, f.name) for f in checked.findings}
    assert {("absolute", name) for name in OPERATIONS} | {("ratios", name) for name in RATIOS} <= named


def test_a_slow_operation_fails_its_time_and_its_ratio_after_a_second_look(fake, how, stored):
    fake.slower = {"infer_jsma": 0.5}
    checked = against_baseline.check_stored(stored, None, how)
    assert failing(checked) == {("absolute", "infer_jsma"), ("ratios", "inference jsma/exhaustive")}
    assert exit_code(checked.findings) == 1
    blocks, names = fake.looks[1]
    assert blocks > fake.looks[0][0] and set(names) == {"infer_jsma", "infer_exhaustive"}


def test_what_is_not_seen_again_passes(fake, how, stored):
    fake.once = {"draw": 0.6}
    checked = against_baseline.check_stored(stored, None, how)
    assert exit_code(checked.findings) == 0 and [names for _, names in fake.looks[1:]] == [["draw"]]
    assert [f.text for f in checked.findings if f.name == "draw" and f.tier == "absolute"] == [
        "suspected at first, not seen again"
    ]


def test_ten_per_cent_of_everything_passes(fake, how, stored):
    """A slower machine of the same make: ratios hold, and absolute times are allowed 25 %."""
    fake.slower = dict.fromkeys(OPERATIONS, 0.1)
    assert exit_code(against_baseline.check_stored(stored, None, how).findings) == 0
    fake.slower = dict.fromkeys(OPERATIONS, 0.6)
    checked = against_baseline.check_stored(stored, None, how)
    assert {tier for tier, _ in failing(checked)} == {"absolute"}


def test_another_machine_compares_no_absolute_time(fake, how, stored):
    other = replace(stored, machine={**stored.machine, "gpu": "another"})
    fake.slower = dict.fromkeys(OPERATIONS, 3.0)
    checked = against_baseline.check_stored(other, None, how)
    assert exit_code(checked.findings) == 0
    assert [f.verdict for f in checked.findings if f.tier == "absolute"] == ["not compared"]
    assert {name for _, names in fake.looks for name in names} == {name for pair in RATIOS.values() for name in pair}
    with pytest.raises(NotComparableError, match="another machine"):
        against_baseline.check_stored(other, ["absolute"], how)
    fake.slower = {"infer_jsma": 0.3}  # the balance of decoding and encoding differs between machines
    assert exit_code(against_baseline.check_stored(other, ["ratios"], how).findings) == 0
    fake.slower = {"infer_jsma": 1.0}
    assert exit_code(against_baseline.check_stored(other, ["ratios"], how).findings) == 1


def test_counters_alone_time_nothing(fake, how, stored):
    checked = against_baseline.check_stored(stored, ["counters"], how)
    assert exit_code(checked.findings) == 0 and not fake.looks and {f.tier for f in checked.findings} == {"counters"}
    worse = replace(stored, counters={**COUNTERS, "draw": {"tiles": 2, "patches": 2}})
    assert failing(against_baseline.check_stored(worse, ["counters"], how)) == {("counters", "draw tiles")}


def test_what_cannot_be_timed_is_partial(fake, how, stored):
    fake.broken = {"draw"}
    checked = against_baseline.check_stored(stored, None, how)
    assert exit_code(checked.findings) == 3
    assert [f.name for f in checked.findings if f.verdict == "failed"] == ["draw"]
    with pytest.raises(NotComparableError, match="draw"):
        against_baseline.take_baseline(how)


def test_the_first_look_alone_fails_nothing(fake, how, stored):
    """What breaks before the second look is not measured, whatever the first one said."""
    fake.once, fake.breaks_after_first = {"draw": 0.9}, {"draw"}
    checked = against_baseline.check_stored(stored, ["absolute"], how)
    assert exit_code(checked.findings) == 3
    assert [f.name for f in checked.findings if f.verdict != "ok"] == ["draw"]


def test_the_noise_floor_of_this_machine_widens_the_limit(fake, how, stored):
    noisy = [{"machine": stored.machine, "device": "cpu", "floors": {"cpu": {"draw": 0.9}}}]
    fake.slower = {"draw": 0.6}
    assert exit_code(against_baseline.check_stored(stored, ["absolute"], how).findings) == 1
    assert exit_code(against_baseline.check_stored(replace(stored, noise=noisy), ["absolute"], how).findings) == 0
    elsewhere = [{**noisy[0], "machine": {}}]
    assert exit_code(against_baseline.check_stored(replace(stored, noise=elsewhere), ["absolute"], how).findings) == 1


def test_other_work_is_not_comparable(how, stored):
    with pytest.raises(NotComparableError, match="sizes"):
        against_baseline.check_stored(replace(stored, sizes={}), None, how)
    with pytest.raises(NotComparableError, match="workers 1, asked is 2"):
        against_baseline.check_stored(stored, None, replace(how, rig=replace(how.rig, workers=2)))


def test_files_that_are_no_baseline(stored, tmp_path):
    path = tmp_path / "b.json"
    with pytest.raises(UsageError, match="speed save"):
        load_baseline(path)
    for text in ("{", "[]", '{"format": 1, "counters": {}}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="not a baseline"):
            load_baseline(path)
    good = asdict(stored)
    for content in (
        b"\x89PNG\r\n\x1a\n\x00\xff",
        "café".encode("latin-1"),
        b"[" * 100_000,
        *(
            json.dumps({**good, **harm}).encode()
            for harm in ({"counters": "many"}, {"seconds": {"cpu": {"draw": "fast"}}}, {"ratios": {}})
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="not a baseline") as raised:
            load_baseline(path)
        assert "\n" not in str(raised.value) and f"--baseline {path}" in str(raised.value)
        assert known_noise(path) == []
    os.mkfifo(tmp_path / "pipe")
    for one in (load_baseline, check_free):
        with pytest.raises(UsageError, match="no regular file|no baseline"):
            one(tmp_path / "pipe")
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(NotComparableError, match="format 99"):
        load_baseline(path)
    with pytest.raises(UsageError, match="cannot be written"):
        save_baseline(stored, path / "under_a_file.json")


def test_a_new_baseline_keeps_what_is_known_of_noise(stored, tmp_path):
    noise = [{"machine": {"cpu": "x"}, "device": "cpu", "floors": {"cpu": {"draw": 0.0123456789}}}]
    save_baseline(replace(stored, noise=noise), tmp_path / "n.json")
    assert known_noise(tmp_path / "n.json") == [{**noise[0], "floors": {"cpu": {"draw": 0.0123457}}}]
    assert known_noise(tmp_path / "none.json") == []
    (tmp_path / "n.json").write_text("{")
    assert known_noise(tmp_path / "n.json") == []


def test_the_committed_baseline_is_of_the_operations_that_there_are():
    stored = load_baseline(ROOT / "results/baseline.json")
    assert stored.counters.keys() == OPERATIONS.keys() and stored.sizes == asdict(Sizes())
    for clock in CLOCKS:
        assert stored.seconds[clock].keys() == OPERATIONS.keys() and stored.ratios[clock].keys() == RATIOS.keys()
    assert stored.machine.keys() == {"cpu", "cores", "gpu", "storage", "system"}
