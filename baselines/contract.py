"""What a strategy is: it turns metered slides into logits, opens no file and does not time itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from baselines.parts.wording import advice, named, told
from jsma import JSMASettings
from jsma.checked import Mpp, Units, checked
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.meter import Meter
from jsma.metered import MeteredSlide
from jsma.slides import SlideError

Purpose = Literal["test", "choose", "calibrate"]


@checked
class NoOptions:
    """Of a strategy that has no options of its own."""


@checked
class StrategySettings:
    """What strategies share, and the options of the one that it is for.

    Attributes:
        method: Of the sampler: number of patches, magnifications, estimator, weights of the entropies.
        mpp: The magnification, in um/px, of strategies that use one.
        attention_dim: Width of the gated attention of the exhaustive heads.
        options: Of the strategy itself, an instance of its `options_class`. None: their defaults.
    """

    method: JSMASettings = field(default_factory=JSMASettings)
    mpp: Mpp = 0.5
    attention_dim: Units = 64
    options: Any = None


@dataclass
class Outcome:
    """What a strategy says of one slide.

    Attributes:
        logits: One per class, [n_classes], finite.
        penalty: Scalar that is added to the loss, None for nothing.
        cells: Flat indices of the patches that were used, long [n]; None where no patch was read.
        p_magnification: Probability of each magnification, [M]; None where nothing is drawn.
        attention: The distribution over all cells from which patches were drawn, or by which they are weighted, [K],
            detached; None where there is no single one.
        label_penalty: What is added to the loss if the slide is of each class, [n_classes]; None for nothing. A
            strategy never sees the label.
        rounds: Logits after each round, [R, n_classes], detached, of a strategy that stops early; None for others.
    """

    logits: Tensor
    penalty: Tensor | None = None
    cells: Tensor | None = None
    p_magnification: Tensor | None = None
    attention: Tensor | None = None
    label_penalty: Tensor | None = None
    rounds: Tensor | None = None

    def penalty_of(self, label: int) -> Tensor | None:
        """Sum up what is added to the loss of a slide of class `label`; None for nothing."""
        if self.label_penalty is None:
            return self.penalty
        return self.label_penalty[label] + (0.0 if self.penalty is None else self.penalty)


class Strategy(nn.Module, ABC):
    """Base of every strategy.

    Args:
        settings: Options of the strategies.
        feature_dim: Width of the encoder's features.
        n_classes: Number of classes.
        meter: Times the stages of the strategy itself (`self.meter.stage(...)`).

    Attributes:
        name: Key in the registry.
        source: The paper or the equation.
    """

    name: str
    source: str
    bounded = True
    """Whether N bounds the patches that are read of a slide at test. False where all patches are read, or all of one
    part."""
    trains_within_budget = True
    """Whether N bounds the patches in training too, where it does at test."""
    draws = True
    """Whether logits at test depend on the generator. Where they do not, one pass over the validation slides is
    enough."""
    stops_early = False
    """Whether its option `confidence` decides how much of N is read at test."""
    purpose: Purpose = "test"
    """What the strategy is asked for just now, in evaluation; `ask` says it. "test": predictions, which may stop early.
    "choose": predictions of the validation slides by which weights are chosen; no strategy stops early then, because
    weights would be chosen by when they stop. "calibrate": the same, with the logits after every round."""
    tuned_as: str | None = None
    """Name of the strategy whose tuned settings it takes, key by key, where it has none of its own (`RunSettings.of`):
    of the one that it is compared with at equal settings. A subclass takes this over, too. None: of nobody."""
    uses_evidence = False
    """Whether it may ask `MeteredSlide.evidence()` for what no slide shows: a control, and no method."""
    evidence_from: Literal["annotation", "sites"] = "annotation"
    """What `MeteredSlide.evidence()` hands to it: where the evidence for the label lies, which depends on the label; or
    the sites of a generated slide, each of which may hold evidence in some class, whatever the class."""

    options_class: type = NoOptions
    """Settings of its own: a frozen dataclass under `jsma.checked.checked` whose fields all have defaults. Subclasses
    take it over. Its fields are set as any other: `--set FIELD=VALUE`."""
    options: Any
    """Those that it was made with."""

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__()
        self.settings, self.feature_dim, self.n_classes, self.meter = settings, feature_dim, n_classes, meter
        self.options = self.options_class() if settings.options is None else settings.options
        if not isinstance(self.options, self.options_class):
            own, got = self.options_class.__name__, type(self.options).__name__
            raise TypeError(f"options of {self.name} are {got}; allowed: {own}")

    @abstractmethod
    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """Classify a batch of slides.

        Args:
            slides: The slides. Their pixels and features are handed out through a meter.
            generator: The only randomness that may be used.

        Returns:
            One outcome a slide, in the same order.
        """

    @contextmanager
    def answering(self, purpose: Purpose = "test", meter: Meter | None = None) -> Iterator[None]:
        """Answer one question of `purpose` in the body; its own stages are timed by `meter` (None: by its own one)."""
        before = self.purpose, self.meter
        self.purpose, self.meter = purpose, before[1] if meter is None else meter
        try:
            yield
        finally:
            self.purpose, self.meter = before

    def set_progress(self, share: float) -> None:  # noqa: B027 - most strategies have nothing to anneal
        """Take note of how much of training is done, for whatever is annealed.

        It is called before every epoch, and once training is over. A strategy that takes over trained weights is not
        told anything.

        Args:
            share: Share of training that is done, 0 to 1.
        """

    def calibrate(self, outcomes: Sequence[Outcome], labels: Tensor) -> None:  # noqa: B027 - most have no threshold
        """Set the threshold at which it stops, where `stops_early`. It is called once the weights are chosen.

        Args:
            outcomes: What the strategy says of the validation slides.
            labels: Their classes, long [n].
        """

    @classmethod
    def told(cls) -> str:
        """Say what its rows tell of it: "" for a method, "uses evidence" or "knows the sites" for a control."""
        return {"annotation": "uses evidence", "sites": "knows the sites"}[cls.evidence_from] * cls.uses_evidence

    @classmethod
    def candidates(cls, settings: StrategySettings) -> list[StrategySettings]:
        """List the settings to train one by one. The best on validation is kept, and all are charged."""
        return [settings]


def at_each_magnification(settings: StrategySettings) -> list[StrategySettings]:
    """Make one candidate for each magnification of the method."""
    return [replace(settings, mpp=mpp) for mpp in settings.method.mpps]


# --- asking a strategy ------------------------------------------------------------------------------------
def ask(
    strategy: Strategy, slides: Sequence[MeteredSlide], generator: Generator, purpose: Purpose = "test"
) -> list[Outcome]:
    """The outcomes of `slides`, one each in that order, checked against what `Outcome` says.

    Training, inference and `jsma-bench check` ask through here. The strategy's own stages are timed by the meter of the
    slides; `purpose` is what it is asked for. SlideError, OSError and EvidenceRefusedError pass.
    Whatever else a strategy raises, `sys.exit` too, is a ContractError that names the strategy, the slides and what
    checks it; the error itself is its `__cause__`.
    """
    try:
        with strategy.answering(purpose, _meter_of(slides)):
            outcomes = strategy(slides, generator)
        problem = _problem(strategy, slides, outcomes)
    except (SlideError, OSError, EvidenceRefusedError, KeyboardInterrupt):
        raise
    except ContractError as error:  # of a service of the slide
        raise ContractError(f"{named(strategy, slides)}: {error}; {advice(type(strategy))}") from error.__cause__
    except BaseException as error:  # a strategy of one's own may raise anything, sys.exit too
        raise ContractError(f"{named(strategy, slides)}: {told(error)}; {advice(type(strategy))}") from error
    if problem:
        raise ContractError(f"{named(strategy, slides)}: {problem}; {advice(type(strategy))}")
    return outcomes


def _meter_of(slides: Sequence[MeteredSlide]) -> Meter | None:
    """The meter of the slides of one pass; None for stand-ins of tests, which have none."""
    return slides[0].meter if slides and isinstance(slides[0], MeteredSlide) else None


def _problem(strategy: Strategy, slides: Sequence[MeteredSlide], outcomes: object) -> str | None:
    """What is wrong with what was returned, or None."""
    if not isinstance(outcomes, (list, tuple)) or not all(isinstance(outcome, Outcome) for outcome in outcomes):
        return f"it returned {type(outcomes).__name__}; allowed: a list of Outcome, one for each slide"
    if len(outcomes) != len(slides):
        return f"{len(outcomes)} outcomes for {len(slides)} slides; one each, in the same order"
    for slide, outcome in zip(slides, outcomes, strict=True):
        wrong = _wrong_logits(strategy, outcome) or _wrong_cells(strategy, slide, outcome)
        if wrong:
            return wrong if len(slides) == 1 else f"of slide {slide.id}: {wrong}"
    return None


def _wrong_logits(strategy: Strategy, outcome: Outcome) -> str | None:
    logits, n = outcome.logits, strategy.n_classes
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (n,):
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        return f"logits are {got}; allowed: a tensor of shape [n_classes] = [{n}]"
    if not bool(torch.isfinite(logits).all()):
        return f"logits are {logits.tolist()}; finite and of shape [n_classes] = [{n}]"
    return None


def _wrong_cells(strategy: Strategy, slide: MeteredSlide, outcome: Outcome) -> str | None:
    cells, n = outcome.cells, strategy.settings.method.n_patches
    if cells is None:
        return None
    whole = isinstance(cells, Tensor) and not (cells.is_floating_point() or cells.is_complex())
    if not whole or cells.dtype == torch.bool or cells.ndim != 1:
        return "outcome.cells is no list of cells; allowed: flat indices, long [n]"
    if len(cells) and not 0 <= int(cells.min()) <= int(cells.max()) < slide.view.grid.n_cells:
        return f"outcome.cells are {int(cells.min())}..{int(cells.max())}; allowed: 0..{slide.view.grid.n_cells - 1}"
    if strategy.bounded and len(cells) > n and (strategy.trains_within_budget or not strategy.training):
        mode = "training" if strategy.training else "test"
        return f"read {len(cells)} patches of a slide in {mode} with n_patches = {n}, repeated ones counted"
    return None
