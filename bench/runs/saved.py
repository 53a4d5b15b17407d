"""A training that was saved in the directory of its run, and brought back from there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.errors import UsageError
from bench.runs.checkpoint import Checkpoint
from bench.runs.context import Context
from bench.runs.infer import Contestant
from bench.runs.kept.code_digest import code_digest
from bench.runs.kept.directory import RunDirectory
from bench.runs.layout import CHECKPOINT, CURVE, TRAIN, WEIGHTS
from bench.runs.observed.energy import meter_of
from bench.runs.settings.strategies import strategy_class
from bench.runs.train import settings_record
from bench.runs.trainer import Trainer, Training
from jsma.encoders.encoder import build_encoder
from jsma.meter import Meter
from jsma.networks.feature_scale import FeatureScale

RESUMED = "training was broken off and gone on with: the joules before that are not known"
SHARED = "features are shared by a store and charged in seconds: joules of training need --set features=fresh"


def train_or_restore(
    trainer: Trainer, name: str, directory: RunDirectory, parts: dict[str, list[Any]], seed: int
) -> tuple[Contestant, dict[str, str]]:
    """The strategy called `name`: as its unfinished run in `directory` holds it, or trained now and saved there.

    Returns:
        The trained strategy, and slide -> why training dropped it.
    """
    context, checkpoint = trainer.context, _checkpoint_of(directory, trainer.context)
    saved = directory.read_json(TRAIN)
    if saved is not None and saved.get("code") == code_digest() and directory.read(WEIGHTS) is not None:
        checkpoint.remove()  # it is there where a kill came just before it was removed
        return restore(context, name, directory.partial / WEIGHTS, seed), saved.get("dropped", {})
    encoder = build_encoder(context.settings.encoder, seed).to(context.device)
    energy = meter_of(context.settings.device)
    energy.start()
    training = trainer.train(name, encoder, parts, seed, checkpoint)
    joules = energy.record(energy.stop(), _why_no_joules(training))
    _save(directory, name, context, training, {"n_train": len(parts["train"]), "energy": joules})
    checkpoint.remove()
    contestant = Contestant(training.trained.strategy, encoder, training.scale)
    return contestant, training.trained.dropped


def _checkpoint_of(directory: RunDirectory, context: Context) -> Checkpoint:
    """The checkpoint of the training in `directory`. Only the same code, build of torch and device go on with it."""
    made_by = {"run": directory.key.name, "code": code_digest(), "torch": torch.__version__}
    return Checkpoint(directory.partial / CHECKPOINT, {**made_by, "device": context.settings.device})


def _why_no_joules(training: Training) -> str | None:
    """Why the joules of a training are not its own; None where they are."""
    if training.trained.resumed_s:
        return RESUMED
    return None if training.features is None else SHARED


def _save(directory: RunDirectory, name: str, context: Context, training: Training, more: dict[str, Any]) -> None:
    """Write the record, the curve and the weights; the weights come last, so that a run with weights has the others."""
    cls, trained = strategy_class(name), training.trained
    record = {
        **settings_record(trained),
        "counters": asdict(training.counters),
        "features": training.features,
        "uses_evidence": cls.uses_evidence,
        "told": cls.told(),
        "dropped": trained.dropped,
        "code": code_digest(),  # a training that was broken off is gone on with by the same code only
        **more,
    }
    directory.write_json(TRAIN, record)
    directory.write_table(CURVE, trained.curve)
    candidates = cls.candidates(context.settings.of(name).strategy)
    state = {
        "strategy": trained.strategy.state_dict(),
        "encoder": training.encoder.state_dict(),
        "candidate": candidates.index(trained.settings),
        "scale": None if training.scale is None else training.scale.state_dict(),
    }
    directory.write_with(WEIGHTS, lambda handle: torch.save(state, handle))


def restore(context: Context, name: str, weights: Path, seed: int) -> Contestant:
    """The strategy called `name` as a run of these settings saved it in the file `weights`.

    Raises:
        UsageError: The weights are those of another version of the strategy.
    """
    cls, device = strategy_class(name), context.device
    encoder = build_encoder(context.settings.encoder, seed).to(device)
    state = torch.load(weights, weights_only=True, map_location=device)
    settings = cls.candidates(context.settings.of(name).strategy)[state["candidate"]]
    strategy = cls(settings, encoder.dim, len(context.dataset.classes), Meter()).to(device)
    try:
        strategy.load_state_dict(state["strategy"])
        encoder.load_state_dict(state["encoder"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{weights}: the weights of another version of {name} ({reason}); remove that folder, and the run is made "
            "anew, or give another --out"
        ) from error
    return Contestant(strategy, encoder, _scale_of(state["scale"], device))


def _scale_of(state: dict[str, torch.Tensor] | None, device: torch.device) -> FeatureScale | None:
    """The scale that was saved, or None where there was none."""
    if state is None:
        return None
    scale = FeatureScale(*state["mean"].shape).to(device)
    scale.load_state_dict(state)
    return scale
