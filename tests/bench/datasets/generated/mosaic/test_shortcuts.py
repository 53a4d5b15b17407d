"""The probes find what is there to be found, and nothing else."""

import numpy as np
import pytest

from bench.analysis.shortcuts import rate_shortcuts
from bench.datasets.generated.mosaic import make_mosaics
from bench.datasets.generated.mosaic.shortcuts import look_from_afar, probe_mosaics
from bench.datasets.labelled import load
from tests.bench.datasets.generated.mosaic.painted import paint_photos, small_settings

GRID = (6, 5)


def answers(folder, tint, **other):
    """Answers of both probes on forty mosaics. tint: what is taken off the red of the needles."""
    table = paint_photos(folder, number=10, tint={"sick": tint})
    return probe_mosaics(load(make_mosaics(table, small_settings(slides=40, **other), folder / "out", 1).labels), GRID)


@pytest.fixture(scope="module")
def tinted(tmp_path_factory):
    return answers(tmp_path_factory.mktemp("tinted"), 70)


def test_every_mosaic_is_predicted_once_by_each_probe(tinted):
    assert list(tinted.columns) == ["probe", "slide", "patient", "label", "predicted"]
    assert tinted.groupby("probe")["slide"].nunique().to_dict() == {"colour": 40, "overview": 40}
    assert len(tinted) == 80 and set(tinted["predicted"]) == {"sick", "negative"}


def test_a_colour_that_tells_is_found_to_be_above_chance(tinted):
    colour = {one.probe: one for one in rate_shortcuts(tinted)}["colour"]
    assert colour.accuracy == 1 and colour.above_chance
    assert (colour.slides, colour.chance) == (40, 0.5) and 10 < colour.clusters < 40
    assert colour.low is not None and colour.low > 0.75


def test_needles_of_the_same_colour_are_not(tmp_path):
    colour, overview = rate_shortcuts(answers(tmp_path, 0))
    assert not colour.above_chance and not overview.above_chance


def test_cells_of_needles_are_where_the_outlines_are(tmp_path):
    labels = make_mosaics(
        paint_photos(tmp_path, tint={"sick": 70}), small_settings(slides=8), tmp_path / "out", 1
    ).labels
    record = next(r for r in load(labels).records if r.mask)
    seen = look_from_afar(record, GRID)
    assert seen is not None and seen.colours.shape == (30, 6)
    needles = np.array([kind == "sick" for kind in seen.kinds])
    assert 1 <= needles.sum() <= 3
    assert seen.colours[needles, 0].min() > seen.colours[~needles, 0].max(), "less red light: denser"
