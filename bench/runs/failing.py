"""Slides that fail while a strategy is asked about them: whose fault it is, and what is left without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Generator

from baselines.contract import Outcome, Purpose, Strategy, ask
from bench.errors import UsageError, listed
from bench.runs.resume import Fit
from bench.runs.settings.settings import TrainSettings
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.metered import MeteredSlide
from jsma.metered.blame import NOT_THE_SLIDE
from jsma.slides import SlideError

LARGEST = 1e6  # nothing that learns has such a loss, or such a weight
Failure = (SlideError, OSError, ContractError)  # what `ask` raises


def of_a_slide(error: Exception) -> bool:
    """Whether one slide may be what failed: the slide itself, or a ValueError while it was looked at.

    A broken contract (too few outcomes, logits that are not finite, anything else that is raised) is the strategy's;
    a full disk or memory is the machine's.
    """
    if isinstance(error, ContractError):
        return isinstance(error.__cause__, ValueError) and not isinstance(error.__cause__, UsageError)
    if isinstance(error, OSError):
        return error.errno not in NOT_THE_SLIDE
    return not isinstance(error, (UsageError, EvidenceRefusedError))


def ask_without(
    strategy: Strategy,
    slides: Sequence[MeteredSlide],
    generator: Generator,
    dropped: dict[str, str],
    purpose: Purpose = "test",
) -> list[Outcome]:
    """The outcomes of those of `slides` that do not fail, in order; the others go to `dropped` with the reason.

    The draws are what they would be had the slides that fail not been there.
    """
    start = generator.get_state()
    while slides := [slide for slide in slides if slide.id not in dropped]:
        generator.set_state(start)
        try:
            return ask(strategy, slides, generator, purpose)
        except Failure as error:
            slide, reason = _failed(strategy, slides, start, error, purpose)
            dropped[slide] = reason
    return []


@torch.no_grad()
def _failed(
    strategy: Strategy, slides: Sequence[MeteredSlide], start: torch.Tensor, error: Exception, purpose: Purpose
) -> tuple[str, str]:
    """The slide that failed, and why: the one that the error names, or the first that fails by itself.

    The error is raised again where no slide is at fault. An error that each of several slides causes is the fault of
    the strategy, unless it is one of reading.
    """
    if not of_a_slide(error):
        raise error
    if (name := getattr(error, "slide_id", None)) in {slide.id for slide in slides}:
        return str(name), str(error)
    found: list[tuple[str, str]] = []
    for slide in sorted(slides, key=lambda slide: slide.id != slides[0].last_looked):
        generator = Generator(device=strategy_device(strategy))
        generator.set_state(start)
        try:
            ask(strategy, [slide], generator, purpose)
        except Failure as own:
            if not of_a_slide(own):
                raise
            found.append((slide.id, str(own)))
            if isinstance(own, (SlideError, OSError)):
                break
    if not found or (not isinstance(error, (SlideError, OSError)) and 1 < len(slides) == len(found)):
        raise error
    return found[0]


def strategy_device(strategy: Strategy) -> torch.device:
    """Where its weights lie."""
    return next((p.device for p in strategy.parameters()), torch.device("cpu"))


def overview_failure(slide: MeteredSlide) -> str | None:
    """Read the overview. Returns why that cannot be done (no tissue, damage), or None where it can."""
    try:
        _ = slide.view
    except (OSError, ValueError) as error:
        if not of_a_slide(error):
            raise
        return str(error)
    return None


def require_classes(part: str, labels: Mapping[str, int], failed: Mapping[str, str]) -> None:
    """Check that a part has slides left, and the training slides two classes.

    Args:
        part: Name of the part, for the error.
        labels: Slide -> class.
        failed: Slide -> why it failed.

    Raises:
        UsageError: No slide is left, or training slides of one class only.
    """
    gone = {slide: why for slide, why in failed.items() if slide in labels}
    left = {label for slide, label in labels.items() if slide not in gone}
    if not left:
        raise UsageError(f"no slide of the {part} part can be read to the end: {listed(gone)}")
    if part == "training" and gone and len(left) < min(2, len(set(labels.values()))):
        raise UsageError(f"training slides of one class only are left: {listed(gone)}")


@contextmanager
def watch_divergence(fit: Fit, settings: TrainSettings, dropped: Mapping[str, str]) -> Iterator[None]:
    """Watch over one epoch, the body.

    Where training diverges, logits are not finite or no cell can be drawn. That looks like a broken strategy or a
    broken slide, and is neither.

    Raises:
        UsageError: Training diverges; it names the epoch, the loss and the setting to lower.
    """
    before = len(dropped)
    try:
        yield
    except (ContractError, UsageError) as error:
        if _largest_weight(fit) <= LARGEST:
            raise
        raise _diverged(fit, settings) from error
    calm = all(loss <= LARGEST for loss in fit.losses)  # nan is not
    if not calm or (len(dropped) > before and not _largest_weight(fit) <= LARGEST):
        raise _diverged(fit, settings)


@torch.no_grad()
def _largest_weight(fit: Fit) -> float:
    """The largest of all trained weights; nan or inf where one is."""
    trained = [p for group in fit.optimiser.param_groups for p in group["params"]]
    return float(torch.stack([p.abs().max() for p in trained if p.numel()]).max())


def _diverged(fit: Fit, settings: TrainSettings) -> UsageError:
    loss = f"loss {fit.losses[-1]:.3g}" if fit.losses else "no loss"
    rates = f"learning_rate (now {settings.learning_rate:g})"
    if settings.encoder_learning_rate is not None:
        rates += f" or encoder_learning_rate (now {settings.encoder_learning_rate:g})"
    return UsageError(
        f"training of {fit.strategy.name} diverged in epoch {fit.epoch + 1} of {settings.epochs}: {loss}, weights up "
        f"to {_largest_weight(fit):.3g}; lower {rates}"
    )
