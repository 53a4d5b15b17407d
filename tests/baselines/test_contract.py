"""Every strategy of the registry keeps the contract, and every check has been seen to fail."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from baselines import STRATEGIES
from baselines.contract import Outcome, Strategy
from bench import cli
from bench.checks.contract.checks import CHECKS, ContractError, Trial, check_strategy
from bench.checks.contract.opened_files import watch_files
from bench.checks.contract.scene import SETTINGS, make_scene
from bench.runs.settings.strategies import strategy_class
from jsma.metered import EvidenceRefusedError

OWN = str(Path(__file__).with_name("mine.py")) + ":Mine"  # the one that README shows


@pytest.mark.parametrize("name", [*STRATEGIES, OWN])
def test_contract(name):
    findings = check_strategy(strategy_class(name))
    assert [f.check for f in findings] == list(CHECKS)
    assert not [f for f in findings if not f.ok]
    assert findings[0].strategy == (name if name in STRATEGIES else "mine")
    seen = {f.check: f.detail for f in findings}
    told = {"oracle": "uses evidence", "candidates": "knows the sites"}.get(name, "sees no evidence")
    assert seen["evidence"].startswith(told)


def test_those_that_learn_where_to_look_have_a_gradient_there():
    for name in ("jsma", "fixed", "search", "patch-selection", "zoom-in", "adaptive", "factorised", "top", "shuffled"):
        assert "model.attention.layers.0.weight" not in CHECKS["gradients"](
            Trial(strategy_class(name), make_scene())
        ), name


class Fair(Strategy):
    """N random cells, averaged; of this test."""

    name = "fair"
    source = "this test"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.head = nn.Linear(self.feature_dim, self.n_classes)
        self.n = self.settings.method.n_patches

    def choose(self, slide, generator):
        allowed = slide.view.mask.nonzero()[:, 0]
        return allowed[torch.randperm(len(allowed), generator=generator)[: self.n]]

    def say(self, slide, features):
        return self.head(features.mean(0) * self.feature_dim**0.5)

    def forward(self, slides, generator):
        found = []
        for slide in slides:
            cells = self.choose(slide, generator)
            found.append(Outcome(self.say(slide, slide.features(cells)), cells=cells))
        return found


class Undocumented(Fair):
    """Something."""


class Glass(Fair):
    def choose(self, slide, generator):
        return (~slide.view.mask).nonzero()[: self.n, 0]


class Silent(Fair):
    def forward(self, slides, generator):
        return [Outcome(o.logits) for o in super().forward(slides, generator)]


class Improper(Fair):
    def forward(self, slides, generator):
        return [Outcome(o.logits, None, o.cells, torch.ones(3)) for o in super().forward(slides, generator)]


class Brittle(Fair):
    """Takes tissue at every magnification for granted; of this test."""

    def choose(self, slide, generator):
        if not all(bool(slide.view.mask[part].any()) for part in slide.view.grid.slices):
            raise KeyError("no tissue")
        return super().choose(slide, generator)


class Leaver(Fair):
    """It calls sys.exit; of this test."""

    def say(self, slide, features):
        raise SystemExit


class Restless(Fair):
    def say(self, slide, features):
        return super().say(slide, features) + torch.rand(2)


class Drawn(Fair):
    draws = False


class Greedy(Fair):
    def choose(self, slide, generator):
        self.n = 2 * self.settings.method.n_patches
        return super().choose(slide, generator)


class Gluttonous(Fair):
    """More than N, but at training time only; of this test."""

    def choose(self, slide, generator):
        self.n = self.settings.method.n_patches + self.training
        return super().choose(slide, generator)


class Idle(Fair):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.spare = nn.Linear(2, 2)


class Steep(Fair):
    def say(self, slide, features):
        return super().say(slide, features) + (self.head.bias * 0).sqrt()


class Stubborn(Fair):
    def say(self, slide, features):
        return super().say(slide, features * 0)


class Forgetful(Fair):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept = torch.randn(2)

    def say(self, slide, features):
        return super().say(slide, features) + self.kept


class Opener(Fair):
    def say(self, slide, features):
        try:
            Path(slide.id).read_bytes()
        except OSError:
            pass
        return super().say(slide, features)


class Bypass(Fair):
    def say(self, slide, features):
        slide._open().read(slide.regions(torch.arange(3).numpy()))
        return super().say(slide, features)


class Forger(Fair):
    def forward(self, slides, generator):
        outcomes = super().forward(slides, generator)
        self.meter.counters.clear()
        return outcomes


class Peeker(Fair):
    def choose(self, slide, generator):
        return slide.evidence().topk(self.n).indices


OFFENDERS = (
    (Undocumented, "source", "does not name its source"),
    (Glass, "outcomes", "without tissue"),
    (Silent, "outcomes", "names 0 cells, 5 were read"),
    (Improper, "outcomes", "p_magnification is no detached distribution"),
    (Brittle, "blank", "KeyError: 'no tissue'"),
    (Leaver, "outcomes", "SystemExit: no message"),
    (Restless, "deterministic", "the same seed gives other logits in training"),
    (Drawn, "deterministic", "another seed gives other logits at test"),
    (Greedy, "budget", "read 2 patches of a slide in training with n_patches = 1"),
    (Gluttonous, "budget", "in training"),
    (Idle, "gradients", "no gradient reaches spare.weight, spare.bias"),
    (Steep, "gradients", "head.bias is not finite"),
    (Stubborn, "learns", "4 of 8"),
    (Forgetful, "saves", "other logits"),
    (Opener, "metered", "opens .*tif' by itself"),
    (Bypass, "metered", "pixels, the slides handed out"),
    (Forger, "metered", "the meter says 0 patches"),
)


@pytest.mark.parametrize(("cls", "check", "words"), OFFENDERS, ids=lambda v: getattr(v, "__name__", ""))
def test_an_offender_fails_its_check(cls, check, words):
    CHECKS[check](Trial(Fair, make_scene()))
    with pytest.raises(ContractError, match=words):
        CHECKS[check](Trial(cls, make_scene()))


def test_leaving_is_a_broken_contract_and_no_success():
    findings = check_strategy(Leaver)
    assert [f.check for f in findings] == list(CHECKS)
    assert [f.check for f in findings if f.ok] == ["source"]
    assert all(f.detail.startswith("SystemExit: no message (") for f in findings if not f.ok)


def test_what_is_declared_is_allowed():
    class Honest(Gluttonous):
        trains_within_budget = False

    assert "declared" in CHECKS["budget"](Trial(Honest, make_scene()))

    class Free(Greedy):
        bounded = False

    assert "declared" in CHECKS["budget"](Trial(Free, make_scene()))


def test_evidence_is_refused_unless_its_use_is_declared():
    with pytest.raises(EvidenceRefusedError, match="uses_evidence = True"):
        CHECKS["evidence"](Trial(Peeker, make_scene()))
    (refused,) = [f for f in check_strategy(Peeker) if f.check == "evidence"]
    assert not refused.ok and refused.detail.startswith("EvidenceRefusedError: slide no-such-folder/0.tif")

    class Declared(Peeker):
        uses_evidence = True

        def choose(self, slide, generator):
            found = slide.evidence()
            assert (found is None) == (slide.label == 1)
            return Fair.choose(self, slide, generator)

    assert "declared" in CHECKS["evidence"](Trial(Declared, make_scene()))


def test_what_is_opened_is_seen(tmp_path):
    with watch_files() as files:
        with pytest.raises(OSError):
            open(tmp_path / "gone.tif", "rb")
        import colorsys  # noqa: F401 - a module is no file that a strategy reads
    assert files == [str(tmp_path / "gone.tif")]
    with watch_files() as files:
        pass
    assert files == []


@pytest.mark.parametrize(
    ("target", "code", "words"),
    (
        (OWN, 0, "ok    mine  metered: "),
        ("broken.py:Broken", 1, "FAIL  broken  outcomes: ZeroDivisionError"),
        ("nope", 2, "there are: jsma"),
        ("gone.py:Mine", 2, "check gone.py:Mine: no such file"),
    ),
)
def test_one_command_checks_a_strategy_of_ones_own(target, code, words, tmp_path, monkeypatch, capsys):
    text = Path(OWN.rpartition(":")[0]).read_text().replace("Mine", "Broken").replace('"mine"', '"broken"')
    (tmp_path / "broken.py").write_text(text.replace("outcomes = []", "outcomes = [] * (1 // 0)"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["jsma-bench", "check", target])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    assert left.value.code == code and words in said.out + said.err
    if code < 2:
        assert len(said.out.splitlines()) == len(CHECKS)
    else:
        assert len(said.err.splitlines()) == 1 and "Traceback" not in said.err


def made(name):
    trial = Trial(strategy_class(name), make_scene())
    strategy = trial.build()
    return trial, strategy, trial.slides(strategy)


def test_fixed_reads_one_magnification_and_search_tries_them_all():
    trial, strategy, slides = made("fixed")
    for slide, outcome in zip(slides, trial.answer(strategy, slides, True), strict=True):
        assert set(slide.view.grid.mpp_of(outcome.cells.numpy())) == {SETTINGS.mpp}
    assert [c.mpp for c in strategy_class("search").candidates(SETTINGS)] == list(SETTINGS.method.mpps)


def test_exhaustive_reads_every_tissue_cell_once():
    trial, strategy, slides = made("exhaustive-all")
    for slide, outcome in zip(slides, trial.answer(strategy, slides, True), strict=True):
        assert sorted(outcome.cells.tolist()) == slide.view.mask.nonzero()[:, 0].tolist()
