"""The sweep over budgets: counted as from the file, spread and flips as computed by hand, one command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from baselines.contract import StrategySettings, ask
from bench.analysis.sweep_rows import compute_sweep_rows
from bench.datasets import SlideRecord
from bench.report.tables.sweep_tables import equal_markdown
from bench.runs.infer import Contestant
from bench.runs.settings.strategies import strategy_class
from bench.runs.sweep_point import Point, at_budget, predict, view_slide
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.metered.store import FeatureStore
from jsma.slides import open_slide

OWN = str(Path(__file__).parents[2] / "baselines" / "mine.py") + ":Mine"
VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overview_mpp=4.0)


def write_slide(path, level):
    pixels = np.full((192, 256, 3), (150 + level, 40, 90), np.uint8)
    pixels[::2] += 20
    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb",
        tile=(64, 64),
        resolution=(1e4, 1e4),
        resolutionunit="CENTIMETER",
        compression="jpeg",
    )


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "a.tif"
    write_slide(path, 10)
    return str(path)


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)


@pytest.mark.parametrize("name", ("jsma", "exhaustive", "overview"))
def test_a_prediction_costs_what_it_costs_from_the_file(name, encoder, slide_path):
    torch.manual_seed(0)
    settings = StrategySettings(method=JSMASettings(n_patches=2, mpps=VIEW.mpps), mpp=1.0)
    trained = strategy_class(name)(settings, encoder.dim, 2, Meter()).eval()
    store = FeatureStore(encoder.dim)
    contestant = Contestant(trained, encoder)
    with open_slide(slide_path, in_process=True) as slide:
        seen = view_slide(SlideRecord(slide_path, "a"), slide, VIEW, encoder)
        for budget, seed in ((2, 0), (5, 0), (8, 0), (5, 0)):  # nested draws: part of each is in the store already
            strategy = at_budget(trained, budget, "sample")
            point = Point("sample", budget, 1, strategy, contestant, store)
            outcome, meter = predict(point, seen, VIEW, seed)
            plain = Meter()
            fresh = MeteredSlide(slide_path, lambda: slide, Desk(plain, encoder, VIEW))
            with torch.no_grad():
                expected = ask(strategy, [fresh], torch.Generator().manual_seed(seed))[0]
            torch.testing.assert_close(outcome.logits, expected.logits, rtol=1e-4, atol=1e-5)
            assert meter.total() == plain.total()
            if name == "jsma":
                assert meter.total().patches == budget and meter.charged_s > 0


def test_another_budget_keeps_the_weights(encoder):
    trained = strategy_class("jsma")(StrategySettings(), encoder.dim, 2, Meter())
    other: Any = at_budget(trained, 3, "top")
    assert other.settings.method.n_patches == 3 and other.model.settings.sampling == "top" and not other.training
    for a, b in zip(trained.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b) and a is not b


def test_the_table_is_what_is_computed_by_hand():
    answers = {  # (training seed, slide) -> prediction of each of three sampling seeds; all labels are "a"
        (0, "x"): "aab",
        (0, "y"): "aaa",
        (0, "z"): "bbb",
        (1, "x"): "abb",
        (1, "y"): "aba",
        (1, "z"): "aaa",
    }
    rows = [
        {
            "dataset": "d",
            "strategy": "s",
            "uses_evidence": False,
            "mode": "sample",
            "budget": 4,
            "confidence": None,
            "fold": 0,
            "seed": seed,
            "draw": draw,
            "slide": slide,
            "patient": None,
            "label": "a",
            "predicted": said,
            "patches": 2 + draw,
            "decoded_px": 1_000_000,
            "compressed_bytes": 500_000,
            "seconds": 0.1,
        }
        for (seed, slide), letters in answers.items()
        for draw, said in enumerate(letters)
    ]
    (row,) = compute_sweep_rows(pd.DataFrame(rows))
    accuracy = np.array([[2, 2, 1], [3, 1, 2]]) / 3  # [training, draw]
    assert row["accuracy"] == pytest.approx(accuracy.mean())
    assert row["sd_sampling"] == pytest.approx(accuracy.std(axis=1, ddof=1).mean())
    assert row["sd_training"] == pytest.approx(accuracy.mean(axis=1).std(ddof=1))
    assert row["flip_rate"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert row["patches_per_slide"] == pytest.approx(3) and row["megapixels_decoded_per_slide"] == 1.0
    assert (row["draws"], row["trainings"], row["slides"], row["budget"]) == (3, 2, 3, 4)
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]


def prediction(strategy, budget, seed, slide, right, **more):
    """One row of a sweep."""
    return {
        "dataset": "d",
        "strategy": strategy,
        "uses_evidence": False,
        "mode": "sample",
        "budget": budget,
        "confidence": None,
        "fold": 0,
        "seed": seed,
        "draw": 0,
        "slide": slide,
        "patient": None,
        "label": "a",
        "predicted": "a" if right else "b",
        "patches": budget,
        "decoded_px": 1,
        "compressed_bytes": 1,
        "seconds": 0.1,
        **more,
    }


def test_the_second_strategy_is_set_against_the_first_at_as_many_patches():
    rows = [
        prediction("one", n, seed, slide, hard < right, draw=draw)
        for n, draw, right in ((4, 0, 1), (16, 0, 4), (16, 1, 2))
        for seed in (0, 1)
        for hard, slide in enumerate("uvwxyz")
    ] + [
        prediction("two", 16, seed, slide, hard < 5, confidence=0.9, patches=4 + 2 * (hard // 2) * 2)
        for seed in (0, 1)
        for hard, slide in enumerate("uvwxyz")
    ]
    small, large, two = compute_sweep_rows(pd.DataFrame(rows))
    assert small["difference"] is None and large["difference_hard"] is None and small["patches_hard"] == 4
    assert two["reference"] == "one" and two["patches_per_slide"] == 8  # half way from 4 to 16
    assert two["difference"] == pytest.approx(5 / 6 - (1 / 6 + 3 / 6) / 2)
    assert [two[f"patches_{k}"] for k in ("easy", "middle", "hard")] == [4, 8, 12]
    assert two["accuracy_hard"] == 0.5 and two["difference_hard"] == pytest.approx(0.5)
    assert (small["accuracy_hard"], large["accuracy_hard"]) == (0, 0)
    assert two["difference_easy"] == pytest.approx(1 - (1 / 2 + 1) / 2)  # at 8 patches, though it reads 4 of them here
    said = [" ".join(line.split()) for line in equal_markdown([small, large, two]).splitlines()]
    assert len(said) == 3 and said[2].startswith("| two | 16 | 0.9 | 8.0 |") and "| +0.500 (" in said[2]
    assert "minus one at as many patches, hard" in said[0]


def test_what_a_training_had_wrong_does_not_make_the_slide_hard_to_it():
    right = {0: {"u": 0, "v": 1, "w": 1}, 1: {"u": 1, "v": 1, "w": 0}}
    rows = [prediction("one", 4, seed, slide, said) for seed, own in right.items() for slide, said in own.items()]
    rows += [prediction("two", 4, seed, slide, True) for seed in right for slide in "uvw"]
    one, two = compute_sweep_rows(pd.DataFrame(rows))
    # hard: w in training 0, u in training 1, and there each has it right
    assert one["accuracy_hard"] == 1 and two["difference_hard"] == 0
    assert two["difference"] == pytest.approx(2 / 6)


def test_one_slide_has_no_interval():
    right = {"u": (1, 1), "v": (1, 0), "w": (0, 0)}  # by draw: easy, middle, hard in both trainings
    rows = [
        prediction(name, 4, seed, slide, said or name == "two", draw=draw)
        for name in ("one", "two")
        for seed in (0, 1)
        for slide, own in right.items()
        for draw, said in enumerate(own)
    ]
    one, two = compute_sweep_rows(pd.DataFrame(rows))
    assert two["difference_hard"] == 1 and two["difference_hard_low"] is two["difference_hard_high"] is None
    json.dumps([one, two], allow_nan=False)
    assert equal_markdown([one, two]).split()[-3:] == ["+1.000", "(-)", "|"]


def test_one_strategy_alone_is_set_against_nothing():
    rows = pd.DataFrame([prediction("one", n, 0, slide, True) for n in (4, 16) for slide in "uv"])
    assert equal_markdown(compute_sweep_rows(rows)) == ""
