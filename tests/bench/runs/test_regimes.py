"""Frozen and fine-tuned, end to end on small slides with a tiny timm model: what is trained, kept, read and charged."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from baselines.clam import CLAM
from baselines.contract import StrategySettings, at_each_magnification
from baselines.mean import Mean
from bench.analysis.columns.results import STRATEGY
from bench.analysis.rows import compare
from bench.errors import UsageError
from bench.progress import Quiet
from bench.runs.infer import infer
from bench.runs.kept.finished import load_runs
from bench.runs.plan import Request, execute, planned
from bench.runs.saved import restore
from bench.runs.settings.settings import RunSettings, TrainSettings, in_regime
from bench.runs.train import Labelled, Schedule, parameter_groups, train
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import open_slide
from tests.bench.runs.slides import two_colours

SMALL = (
    "mpps=[1.0,2.0]",
    "mpp=1.0",
    "overlap_from_mpp=9",
    "overview_mpp=4.0",
    "epochs=2",
    "n_patches=4",
    "name=test_resnet",
    "pretrained=null",
    "stage=null",
    "adapter_dim=8",
)
FIELDS = ["patches", "unique_patches", "output_px", "tiles", "decoded_px", "compressed_bytes", "calls", "encoder_flops"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 slides of two colours, 256 px at 1 um/px: 16 patches of 64 px, and 4 at half the magnification."""
    folder = tmp_path_factory.mktemp("regimes")
    two_colours(folder, slides=12, side_px=256)
    return folder


def asked(folder, regime, strategies, out, *more):
    return Request(
        slides=folder / "labels.csv",
        strategies=strategies,
        preset="tiny",
        seeds=1,
        out=folder / out,
        data=folder,
        assignments=(*SMALL, *more),
        regime=regime,
    )


@pytest.fixture(scope="module")
def frozen(folder):
    return execute(asked(folder, "frozen", ("mean", "max", "clam", "ips"), "runs"), Quiet()).runs


@pytest.fixture(scope="module")
def finetuned(folder):
    return execute(asked(folder, "finetuned", ("mean", "ips"), "runs"), Quiet()).runs


def counters(path: Path) -> dict[str, int]:
    return json.loads((path / "train.json").read_text())["counters"]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path / "weights.pt", weights_only=True)["encoder"]


def initial_encoder(frozen=True):
    return build_encoder(EncoderSettings("test_resnet", pretrained=None, frozen=frozen), seed=0)


def initial(frozen):
    return initial_encoder(frozen).state_dict()


def test_frozen_keeps_the_encoder_and_charges_whoever_reads_as_much(frozen):
    for path in frozen:
        assert all(torch.equal(a, b) for a, b in zip(weights(path).values(), initial(True).values(), strict=True))
    # all read every patch at 1 um/px, each a tile: who filled the store does not matter, in any counter
    first, *others = (counters(path) for path in frozen)
    assert first["decoded_px"] > 0 and first["encoder_flops"] > 0
    assert all(other == first for other in others)
    # two epochs: the second is all hits, and each hit is counted; calibration has patches of its own, and no store
    n_train = json.loads((frozen[0] / "train.json").read_text())["n_train"]
    calibrated = n_train * (8 + 4)  # at most 8 a magnification
    assert first["patches"] - calibrated == 2 * first["store_hits"] > 0
    rows = pd.read_parquet(frozen[0] / "predictions.parquet")
    assert set(rows["store_hits"]) == {0} and set(rows["decoded_px"]) == {2 * 256 * 256}  # overview and patches


def test_clam_learns_from_the_loss_of_the_slides_own_label(folder, frozen):
    runner, _ = planned(asked(folder, "frozen", ("clam",), "runs"), Quiet())
    torch.manual_seed(0)
    start = CLAM(runner.context.settings.strategy, initial_encoder().dim, 2, Meter()).state_dict()
    state = torch.load(frozen[2] / "weights.pt", weights_only=True)["strategy"]
    moved = [key for key in state if not torch.equal(state[key], start[key])]
    assert all(key in moved for key in state if key.startswith("instances"))


def test_kept_features_cost_what_reading_them_once_costs(folder, frozen):
    once = execute(asked(folder, "frozen", ("mean",), "fresh", "features=fresh", "epochs=1"), Quiet()).runs[0]
    kept, fresh = counters(frozen[0]), counters(once)
    assert fresh["store_hits"] == 0
    read = [f for f in FIELDS if f != "patches"]
    assert {f: kept[f] for f in read} == {f: fresh[f] for f in read}


def test_finetuned_trains_the_encoder_and_saves_and_restores_it(folder, finetuned):
    runner, plan = planned(asked(folder, "finetuned", ("mean", "ips"), "runs"), Quiet())
    for name, path in zip(plan.strategies, finetuned, strict=True):
        assert json.loads((path / "train.json").read_text())["charged_s"] < 5  # calibration only: nothing is kept
        assert counters(path)["store_hits"] == 0
        moved = [not torch.equal(a, b) for a, b in zip(weights(path).values(), initial(False).values(), strict=True)]
        assert any(moved)
        restored = restore(runner.context, name, path / "weights.pt", 0)
        assert all(
            torch.equal(a, b)
            for a, b in zip(weights(path).values(), restored.encoder.state_dict().values(), strict=True)
        )
        dataset = runner.context.dataset
        records = dataset.split(0, plan.n_folds)["test"][:1]
        (row,) = infer({name: restored}, records, runner.context, 0).rows[name]
        then = pd.read_parquet(path / "predictions.parquet").set_index("slide").loc[records[0].id]
        for key in (f"prob_{c}" for c in dataset.classes):
            assert row[key] == pytest.approx(then[key], rel=1e-5)


def test_each_regime_has_its_row(frozen, finetuned, folder):
    rows = {(row["strategy"], row["regime"]): row for row in compare(load_runs(folder / "runs"))}
    assert len(rows) == 4 + 2 and all(row["runs"] == 1 for row in rows.values())
    assert STRATEGY.write(rows["mean", "finetuned"]) == "mean@1um, finetuned"
    assert STRATEGY.write(rows["mean", "frozen"]) == "mean@1um"


def test_no_candidate_starts_from_the_encoder_that_another_trained(folder, frozen):
    """Trained among others, the best candidate and its encoder are what they are when trained alone."""
    files = sorted(folder.glob("*.tif"))[:4]
    settings = StrategySettings(JSMASettings(mpps=(1.0, 2.0), adapter_dim=8))
    found, losses = {}, {}
    both = at_each_magnification(settings)
    for name, candidates in {"both": both, "1": both[:1], "2": both[1:]}.items():
        encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None, frozen=False), seed=0)
        desk = Desk(Meter(), encoder, ViewSettings(mpps=(1.0, 2.0), overlap_from_mpp=9.0, overview_mpp=4.0))
        slides = [MeteredSlide(f.name, lambda f=f: open_slide(f, in_process=True), desk) for f in files]
        items = [Labelled(slide, i % 2) for i, slide in enumerate(slides)]
        parts = {"train": items[:2], "val": items[2:]}
        build = lambda chosen, meter: Mean(chosen, encoder.dim, 2, meter)  # noqa: B023, E731
        losses[name] = train(build, candidates, parts, desk, Schedule(TrainSettings(epochs=2))).val_loss
        found[name] = encoder.state_dict()
        for item in items:
            item.slide.close()
    best = min("12", key=lambda name: losses[name])
    assert losses["both"] == losses[best]
    assert all(torch.equal(a, b) for a, b in zip(found["both"].values(), found[best].values(), strict=True))
    other = {"1": "2", "2": "1"}[best]
    assert not all(torch.equal(a, b) for a, b in zip(found["both"].values(), found[other].values(), strict=True))


def test_the_flag_sets_all_that_a_regime_is(folder):
    encoder = EncoderSettings("test_resnet", pretrained=None)
    tuned = in_regime(RunSettings(encoder=encoder), "finetuned")
    assert tuned.regime == "finetuned" and tuned.train.features == "fresh"
    assert tuned.train.encoder_learning_rate is None  # random weights learn as fast as the rest
    settings = in_regime(RunSettings(encoder=dataclasses.replace(encoder, pretrained="hub")), "finetuned")
    assert settings.train.encoder_learning_rate == 1e-4
    body = torch.nn.Linear(2, 2)
    rates = [g["lr"] for g in parameter_groups(torch.nn.Linear(1, 1), body, settings.train)]
    assert rates == [settings.train.learning_rate, 1e-4]
    back = in_regime(settings, "frozen")
    assert back.train.encoder_learning_rate is None and back.encoder.frozen and back.train.features == "store"
    assert len(parameter_groups(torch.nn.Linear(1, 1), body.requires_grad_(False), settings.train)) == 1
    wrong = (("thawed", (), "allowed: frozen, finetuned"), ("frozen", ("frozen=false",), "leave one out"))
    for regime, more, words in wrong:
        with pytest.raises(UsageError, match=words):
            planned(asked(folder, regime, ("mean",), "none", *more), Quiet())
    assert planned(asked(folder, None, ("mean",), "none"), Quiet())[0].context.settings.regime == "frozen"
