"""The contract of a strategy as checks that run on any class, of the registry or one's own, in about a second."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator

from baselines.contract import Outcome, Strategy, told
from bench.checks.contract.opened_files import watch_files
from bench.checks.contract.scene import SETTINGS, Watched, make_scene, with_patches
from bench.checks.contract.trial import Trial
from bench.runs.failing import ask_without
from jsma.errors import ContractError

BUDGETS = (1, 3, 8)
STEPS, LOOK_EVERY, LEARNING_RATE = 120, 10, 1e-2
MODES = {True: "training", False: "test"}


@dataclass(frozen=True)
class Finding:
    """What one check says of one strategy.

    Attributes:
        strategy: its name.
        check: a name of CHECKS.
        ok: whether the contract is kept.
        detail: what was seen, or why it failed.
    """

    strategy: str
    check: str
    ok: bool
    detail: str


def check_source(trial: Trial) -> str:
    """The class has a name, a source, and a docstring of its own with a word of the source in it."""
    cls = trial.cls
    docstring, source = vars(cls).get("__doc__") or "", getattr(cls, "source", "")
    if not getattr(cls, "name", "") or not source:
        raise ContractError("it has no `name` or no `source`; give the class both")
    words = re.findall(r"[^\W\d_]{4,}", source.lower()) or [source.lower()]
    if not any(word in docstring.lower() for word in words):
        raise ContractError(f"its docstring does not name its source ({source}); say there where the idea is from")
    return source


def check_outcomes(trial: Trial) -> str:
    """Slides of unequal shape in one batch: finite logits, cells in tissue that were read, proper probabilities."""
    strategy = trial.build()
    for training in MODES:
        slides = trial.slides(strategy, (*trial.scene.train[:2], *trial.scene.other))
        for slide, outcome in zip(slides, trial.answer(strategy, slides, training), strict=True):
            _check_outcome(slide, outcome)
    return "finite logits, cells in tissue, probabilities that sum to 1"


def _check_outcome(slide: Watched, outcome: Outcome) -> None:
    mask, read = slide.view.mask, slide.read_cells
    if not bool(mask[read].all()):
        raise ContractError("it reads cells without tissue; keep to slide.view.mask")
    named = torch.empty(0, dtype=torch.long) if outcome.cells is None else outcome.cells.detach().cpu().long().unique()
    if not torch.equal(named, read):
        raise ContractError(f"outcome.cells names {len(named)} cells, {len(read)} were read; name all that were read")
    for what, p, size in (
        ("attention", outcome.attention, len(mask)),
        ("p_magnification", outcome.p_magnification, len(slide.view.grid.mpps)),
    ):
        if p is None:
            continue
        if p.requires_grad or tuple(p.shape) != (size,) or float(p.min()) < 0 or abs(float(p.sum()) - 1) > 1e-4:
            raise ContractError(f"outcome.{what} is no detached distribution [{size}] that sums to 1")
        if what == "attention" and float(p[~mask].abs().sum()) > 0:
            raise ContractError("outcome.attention has mass on cells without tissue")


def check_blank_magnification(trial: Trial) -> str:
    """A slide without tissue at any one magnification is used or dropped; the slide beside it is used."""
    for training in MODES:
        for m in range(len(SETTINGS.method.mpps)):
            strategy, dropped = trial.build(), dict[str, str]()
            slides = trial.slides(strategy)
            slides[0].view.mask[slides[0].view.grid.slices[m]] = False
            outcomes = ask_without(strategy.train(training), slides, Generator().manual_seed(0), dropped)
            if slides[1].id in dropped:
                raise ContractError(f"a slide with tissue at all magnifications is dropped: {dropped[slides[1].id]}")
            kept = [slide for slide in slides if slide.id not in dropped]
            for slide, outcome in zip(kept, outcomes, strict=True):
                if outcome.cells is not None and not bool(slide.view.mask[outcome.cells.cpu()].all()):
                    raise ContractError("it reads cells without tissue; keep to slide.view.mask")
    return "a slide without tissue at one magnification ends nothing"


def check_determinism(trial: Trial) -> str:
    """The generator is the only randomness: the same seed gives the same logits, whatever the global seeds are."""
    for training in MODES:
        found = []
        for other in (1, 2):
            strategy = trial.build()
            torch.manual_seed(other)
            np.random.seed(other)
            found.append(trial.answer(strategy, trial.slides(strategy), training, seed=3))
        if not all(torch.equal(a.logits, b.logits) for a, b in zip(*found, strict=True)):
            raise ContractError(f"the same seed gives other logits in {MODES[training]}; draw from `generator` only")
    if trial.cls.draws:
        return "the same seed, the same logits, bit for bit"
    strategy = trial.build()
    found = [trial.answer(strategy, trial.slides(strategy), False, seed) for seed in (3, 4)]
    if not all(torch.equal(a.logits, b.logits) for a, b in zip(*found, strict=True)):
        raise ContractError("another seed gives other logits at test, and it says draws = False; leave that out")
    return "any seed at test, the same seed in training: the same logits, bit for bit"


def check_budget(trial: Trial) -> str:
    """No slide takes more than N different patches, at test and (unless it says not) in training."""
    if not trial.cls.bounded:
        return "reads what it needs, N or not (declared: bounded = False)"
    modes = [training for training in MODES if not training or trial.cls.trains_within_budget]
    for n in BUDGETS:
        for training in modes:
            strategy = trial.build(with_patches(n))
            slides = trial.slides(strategy)
            trial.answer(strategy, slides, training)
            most = max(len(slide.read_cells) for slide in slides)
            if most > n:
                raise ContractError(f"read {most} patches of a slide in {MODES[training]} with n_patches = {n}")
    alone = "" if len(modes) == 2 else " at test (in training more are read: declared)"
    return f"at most N patches a slide{alone}, N = {', '.join(map(str, BUDGETS))}"


def check_gradients(trial: Trial) -> str:
    """Every trainable parameter gets a gradient, and a finite one. What no loss can reach is to be frozen."""
    strategy = trial.build()
    trainable = {name: p for name, p in strategy.named_parameters() if p.requires_grad}
    reached: set[str] = set()
    moved: set[str] = set()
    for seed in range(3):
        strategy.zero_grad()
        trial.loss(strategy, trial.slides(strategy), seed).backward()
        got = {name: p.grad for name, p in trainable.items() if p.grad is not None}
        broken = [name for name, grad in got.items() if not bool(torch.isfinite(grad).all())]
        if broken:
            raise ContractError(f"the gradient of {', '.join(broken)} is not finite")
        reached |= set(got)
        moved |= {name for name, grad in got.items() if float(grad.abs().sum()) > 0}
    if lost := [name for name in trainable if name not in reached]:
        raise ContractError(f"no gradient reaches {', '.join(lost)}; use it, or freeze it with requires_grad_(False)")
    if not moved:
        raise ContractError("nothing can be trained: no parameter has a gradient other than 0")
    still = sorted(set(trainable) - moved)
    note = f"; always 0: {', '.join(still)}" if still else ""
    return f"{len(trainable)} parameters, all finite{note}"


def check_learning(trial: Trial) -> str:
    """It learns which of two colours the tissue has, and is right on 4 slides it never saw, with 2 sampling seeds."""
    strategy = trial.build()
    slides, unseen = trial.slides(strategy, trial.scene.train), trial.slides(strategy, trial.scene.test)
    optimiser = torch.optim.Adam([p for p in strategy.parameters() if p.requires_grad], LEARNING_RATE)
    right = 0
    for step in range(1, STEPS + 1):
        strategy.set_progress((step - 1) / STEPS)
        optimiser.zero_grad()
        trial.loss(strategy, slides, step).backward()
        optimiser.step()
        if step % LOOK_EVERY:
            continue
        strategy.set_progress(1.0)
        with torch.no_grad():
            answers = [
                int(outcome.logits.argmax()) == slide.label
                for seed in (0, 1)
                for slide, outcome in zip(unseen, trial.answer(strategy, unseen, False, seed), strict=True)
            ]
        right = sum(answers)
        if right == len(answers):
            return f"two colours told apart on unseen slides after {step} steps"
    raise ContractError(f"after {STEPS} steps {right} of 8 answers on unseen slides are right; guessing gives 4")


def check_saving(trial: Trial) -> str:
    """Weights that are saved and loaded into a new object give the same logits, bit for bit."""
    strategy = trial.build()
    optimiser = torch.optim.Adam([p for p in strategy.parameters() if p.requires_grad], LEARNING_RATE)
    for seed in (0, 1):
        trial.loss(strategy, trial.slides(strategy), seed).backward()
        optimiser.step()
    strategy.set_progress(1.0)
    buffer = io.BytesIO()
    torch.save(strategy.state_dict(), buffer)
    buffer.seek(0)
    other = trial.build(seed=1)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    for training in MODES:
        pairs = zip(*(trial.answer(s, trial.slides(s), training) for s in (strategy, other)), strict=True)
        if not all(torch.equal(a.logits, b.logits) for a, b in pairs):
            raise ContractError(f"loaded weights give other logits in {MODES[training]}; keep all state in buffers")
    return "saved, loaded, the same logits bit for bit"


def check_meter(trial: Trial) -> str:
    """The meter has counted every patch and pixel that was handed out, and nothing was read past it."""
    strategy = trial.build()
    slides = trial.slides(strategy, store=False)
    with watch_files() as files:
        trial.answer(strategy, slides, False)
    if files:
        raise ContractError(f"it opens {files[0]!r} by itself; all it reads must come from the metered slide")
    asked, counted = sum(len(cells) for slide in slides for cells in slide.asked), strategy.meter.total()
    if counted.patches != asked:
        raise ContractError(f"the meter says {counted.patches} patches, {asked} were asked for; leave the meter alone")
    read = sum(slide.source.output_px for slide in slides)
    if counted.output_px != read:
        raise ContractError(f"the meter says {counted.output_px} pixels, the slides handed out {read}")
    return f"{asked} patches, {read} pixels: all on the meter, no file opened"


def check_evidence(trial: Trial) -> str:
    """Evidence reaches only a class that says that it uses it; the slides refuse it to all others."""
    strategy = trial.build()
    trial.answer(strategy, trial.slides(strategy), False)
    declared = trial.cls.told()
    return f"{declared} (declared: a control, no method)" if declared else "sees no evidence"


CHECKS: dict[str, Callable[[Trial], str]] = {
    "source": check_source,
    "outcomes": check_outcomes,
    "blank": check_blank_magnification,
    "deterministic": check_determinism,
    "budget": check_budget,
    "gradients": check_gradients,
    "learns": check_learning,
    "saves": check_saving,
    "metered": check_meter,
    "evidence": check_evidence,
}
"""Name -> check. It returns what was seen, and raises where the contract is broken."""


def check_strategy(cls: type[Strategy]) -> list[Finding]:
    """Run every check on one strategy.

    Args:
        cls: the class; it is built anew for each check.

    Returns:
        A finding for each of CHECKS, in that order. What the strategy raises is in its finding.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # nothing here is large enough for two
    try:
        return _run_checks(Trial(cls, make_scene()))
    finally:
        torch.set_num_threads(threads)


def _run_checks(trial: Trial) -> list[Finding]:
    findings = []
    for name, check in CHECKS.items():
        try:
            ok, detail = True, check(trial)
        except ContractError as error:
            ok, detail = False, told(error.__cause__) if error.__cause__ else str(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a strategy under test may raise anything, sys.exit too
            ok, detail = False, told(error)
        findings.append(Finding(trial.cls.name, name, ok, detail))
    return findings
