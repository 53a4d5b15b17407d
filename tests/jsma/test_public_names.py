"""Names that users' own files import: they stay where they were, and each is the one that its module defines."""

from __future__ import annotations

import importlib

import pytest

NAMES = {
    "jsma": (
        "JSMA",
        "JSMASettings",
        "sample_without_replacement",
        "estimate",
        "masked_log_probs",
        "top_n",
        "sampler_of",
    ),
    "jsma.attention": ("AttentionNet", "Pool", "_on_hidden", "pools_of"),
    "jsma.meter": ("Meter", "Counters"),
    "jsma.metered": ("Desk", "EvidenceRefusedError", "MeteredSlide", "SlideView", "ViewSettings", "features_of"),
    "jsma.slides": ("READERS", "ArraySlide", "Regions", "Slide", "SlideError", "open_slide"),
    "baselines": ("STRATEGIES", "DEFAULT", "Strategy", "Outcome", "StrategySettings"),
    "baselines.contract": ("Strategy", "Outcome", "StrategySettings"),
}
ROOMS = (
    "jsma",
    "jsma.cells",
    "jsma.draws",
    "jsma.encoders",
    "jsma.metered",
    "jsma.networks",
    "jsma.slides",
    "jsma.slides.formats",
    "jsma.slides.opening",
    "jsma.slides.process",
    "jsma.slides.readers",
    "jsma.slides.reading",
    "baselines",
    "baselines.parts",
)


@pytest.mark.parametrize("module", NAMES)
def test_names_stay(module):
    found = importlib.import_module(module)
    for name in NAMES[module]:
        assert getattr(found, name) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_hands_on_what_it_says(room):
    found = importlib.import_module(room)
    assert found.__doc__ and found.__all__
    for name in found.__all__:
        handed_on = getattr(found, name)
        home = getattr(handed_on, "__module__", room)
        if home.startswith(room.split(".")[0]):
            assert getattr(importlib.import_module(home), name) is handed_on
