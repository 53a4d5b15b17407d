"""Where it looked, on grids small enough to count by hand."""

import numpy as np
import pytest
import torch
from shapely.geometry import MultiPolygon, box

from baselines.contract import Outcome
from bench.datasets import SlideRecord
from bench.datasets.evidence import Evidence
from bench.runs.observed.where_looked import LOOKED, evidence_of, slide_edge, tissue_edge, where_looked
from jsma.cells.grid import CellGrid
from jsma.metered import SlideView

GRID = CellGrid(40, 40, 1.0, (1.0, 2.0), 10)  # 4 x 4 cells of 10 px, then 2 x 2 of 20 px


@pytest.fixture
def view():
    """Tissue in the left half of a 40 x 40 overview, to column 20; its cells may be drawn."""
    overview = np.full((40, 40, 3), 255, np.uint8)
    overview[:, :20] = (150, 60, 140)
    mask = torch.tensor([True, True, False, False] * 4 + [True, False] * 2)
    pools = [(torch.from_numpy(wy), torch.from_numpy(wx)) for wy, wx in GRID.pools((40, 40))]
    return SlideView(GRID, overview, mask, pools, np.zeros(21, bool))


def attention(**mass):
    """Zero but for c<flat index>=mass."""
    a = torch.zeros(20)
    for name, value in mass.items():
        a[int(name[1:])] = value
    return a


def test_edges_by_hand(view):
    fine = [True] * 4 + [True, False, False, True] * 2 + [True] * 4
    assert slide_edge(GRID).tolist() == fine + [True] * 4
    # tissue is columns 0 and 1: column 0 ends at the slide, column 1 at column 2; rows 1 and 2 are inside of neither
    assert tissue_edge(GRID, view.mask.numpy()).tolist() == view.mask.tolist()
    everything = tissue_edge(GRID, np.ones(20, bool))
    assert everything.tolist() == slide_edge(GRID).tolist()


def test_attention_and_patches_by_hand(view):
    evidence = Evidence(40, 40, {"e": MultiPolygon([box(0, 0, 10, 20)])})  # cells 0 and 4; 16 by its centre (10, 10)?
    a = attention(c0=0.1, c4=0.2, c5=0.3, c2=0.15, c16=0.25)
    cells = torch.tensor([4, 5, 5, 17])
    found = where_looked(view, Outcome(torch.zeros(2), None, cells, torch.tensor([0.5, 0.5]), a), evidence)
    assert found["in_evidence"] == 1 / 4 and found["hit_evidence"] == 1.0
    assert found["attention_in_evidence"] == pytest.approx(0.3)  # (10, 10) is on the outline: not inside
    assert found["attention_slide_edge"] == pytest.approx(0.1 + 0.2 + 0.15 + 0.25)  # all but cell 5
    assert found["attention_tissue_edge"] == pytest.approx(0.1 + 0.2 + 0.3 + 0.25)  # cell 2 may not be drawn
    assert found["attention_background"] == pytest.approx(0.15, abs=1e-6)


def test_background_counts_the_share_of_a_cell(view):
    view.overview[:, 15:20] = 255  # cells of columns 1 and of 20 px lose a half and a quarter
    found = where_looked(view, Outcome(torch.zeros(2), attention=attention(c1=0.5, c16=0.5)), None)
    assert found["attention_background"] == pytest.approx(0.5 * 0.5 + 0.5 * 0.25, abs=1e-6)


def test_a_miss_is_0_and_what_is_not_known_is_none(view):
    evidence = Evidence(40, 40, {"e": MultiPolygon([box(0, 0, 10, 10)])})
    cells, p = torch.tensor([9, 19]), torch.tensor([0.5, 0.5])
    missed = where_looked(view, Outcome(torch.zeros(2), None, cells, p), evidence)
    assert missed["hit_evidence"] == 0.0 and missed["in_evidence"] == 0.0
    assert missed["attention_in_evidence"] is None and missed["attention_background"] is None
    exhaustive = where_looked(view, Outcome(torch.zeros(2), cells=torch.arange(20)), evidence)
    assert exhaustive["in_evidence"] == 1 / 20 and exhaustive["hit_evidence"] is None
    plain = where_looked(view, Outcome(torch.zeros(2), None, cells, p, attention(c9=1.0)), None)
    assert [k for k in LOOKED if plain[k] is None] == ["in_evidence", "attention_in_evidence", "hit_evidence"]
    assert plain["attention_slide_edge"] == 0.0
    assert set(where_looked(view, Outcome(torch.zeros(2)), evidence).values()) == {None}


def test_a_slide_without_annotation_has_no_evidence(tmp_path):
    assert evidence_of(SlideRecord("a.tif", "a"), GRID) is None
    assert evidence_of(SlideRecord("a.tif", "a", mask=str(tmp_path / "gone.geojson")), GRID) is None
