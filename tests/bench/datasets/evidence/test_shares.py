"""Evidence as shares of patches, handed to those that declare its use; and a whole run of the controls."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from baselines.candidates import Candidates
from baselines.contract import StrategySettings
from baselines.jsma import Joint
from baselines.oracle import Oracle
from bench.analysis.columns.results import STRATEGY
from bench.analysis.rows import compare
from bench.datasets import Dataset, SlideRecord
from bench.datasets.evidence import load_evidence
from bench.datasets.evidence.shares import evidence_for, need_annotation, offers, patch_shares
from bench.errors import UsageError
from bench.report.tables.tables import markdown
from bench.runs.context import Context
from bench.runs.kept.finished import load_runs
from bench.runs.layout import SNAPSHOTS
from bench.runs.observed.snapshots import read_snapshots
from bench.runs.runner import Plan, Runner
from bench.runs.settings.settings import RunSettings, TrainSettings
from jsma import JSMASettings
from jsma.cells.grid import CellGrid
from jsma.encoders.encoder import EncoderSettings
from jsma.metered import ViewSettings

W, H = 192, 128
GRID = CellGrid(W, H, 1.0, (1.0, 2.0), 32, strides=(1.0, 0.5))
RINGS = [[(10, 20), (90, 20), (90, 100), (10, 100), (10, 20)], [(40, 40), (60, 40), (60, 60), (40, 60), (40, 40)]]
FAR = [[(150, 90), (180, 90), (180, 120), (150, 120), (150, 90)]]
WHOLE = [[(0, 0), (W / 2, 0), (W / 2, H), (0, H), (0, 0)]]  # the left half: columns of cells of 1 um/px


def outline(path, *polygons):
    shapes = [{"type": "Polygon", "coordinates": [[list(p) for p in ring] for ring in rings]} for rings in polygons]
    features = [{"type": "Feature", "geometry": shape, "properties": {}} for shape in shapes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


def test_shares_are_areas_of_the_patch_counted_pixel_by_pixel(tmp_path):
    found = patch_shares(load_evidence(outline(tmp_path / "a.geojson", RINGS, FAR), W, H), GRID)
    pixels = np.zeros((H, W))
    pixels[20:100, 10:90] = 1
    pixels[40:60, 40:60] = 0
    pixels[90:120, 150:180] = 1
    for cell, share in enumerate(found):
        (x, y), side = GRID.centres0(np.array([cell]))[0], 32 * GRID.mpp_of(np.array([cell]))[0]
        left, top, right, bottom = (int(v) for v in (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
        inside = pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)].sum()
        assert share == pytest.approx(inside / side**2), cell
    assert 0 < (found > 0).sum() < len(found) and found.max() == 1


def test_evidence_goes_to_those_that_declare_its_use(tmp_path):
    annotated = SlideRecord("s.tif", "a", mask=outline(tmp_path / "a.geojson", RINGS))
    assert evidence_for(Joint, annotated) is None
    find = evidence_for(Oracle, annotated)
    shares = None if find is None else find(GRID)
    assert shares is not None and shares.shape == (GRID.n_cells,)
    for record in (
        SlideRecord("s.tif", "a"),
        SlideRecord("s.tif", "a", mask=str(tmp_path / "gone.geojson")),
        SlideRecord("s.tif", "a", mask=outline(tmp_path / "empty.geojson")),
    ):
        find = evidence_for(Oracle, record)
        assert find is not None and find(GRID) is None
    need_annotation([Joint, Oracle], "d", [annotated, SlideRecord("s.tif", "a")])
    need_annotation([Joint], "d", [SlideRecord("s.tif", "a")])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder, records = tmp_path_factory.mktemp("slides"), []
    for i, split in enumerate(("train", "train", "val", "val", "test", "test")):
        pixels = np.full((H, W, 3), (150 + 40 * (i % 2), 40, 90), np.uint8)
        pixels[::2] += 20
        path = folder / f"{i}.tif"
        tifffile.imwrite(
            path, pixels, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER"
        )
        mask = outline(folder / f"{i}.geojson", WHOLE) if i % 2 else None
        records.append(SlideRecord(str(path), "ab"[i % 2], split=split, mask=mask, name=path.name))
    return Dataset("d", ("a", "b"), tuple(records))


def runner(dataset, out):
    view = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overlap_from_mpp=9.0, overview_mpp=4.0)
    method = JSMASettings(n_patches=3, mpps=view.mpps)
    settings = RunSettings(StrategySettings(method, 1.0), EncoderSettings("test_resnet", None), view, TrainSettings(3))
    return Runner(Context(dataset, settings, out, accept_findings=True))  # two of each content


def test_oracle_without_any_annotation_is_one_clear_line(dataset, tmp_path):
    bare = Dataset("bare", ("a", "b"), tuple(SlideRecord(r.path, r.label, split=r.split) for r in dataset.records))
    with pytest.raises(UsageError, match="oracle draws from the evidence, and no slide of bare has an"):
        runner(bare, tmp_path).run(Plan(("jsma", "oracle"), (0,)))


def test_sites_go_to_candidates_and_evidence_does_not(dataset, tmp_path):
    record = SlideRecord(
        "s.tif", "a", mask=outline(tmp_path / "a.geojson", RINGS), sites=outline(tmp_path / "s.geojson", FAR)
    )
    handed = evidence_for(Candidates, record)
    assert handed is not None and evidence_for(Joint, record) is None
    sites = load_evidence(record.sites, W, H)
    shares = handed(GRID)
    assert shares is not None and np.array_equal(shares, patch_shares(sites, GRID)) and shares.sum() > 0
    without = SlideRecord("s.tif", "a", mask=record.mask)
    find = evidence_for(Candidates, without)
    assert find is not None and find(GRID) is None
    need_annotation([Candidates, Oracle], "d", [record])
    assert offers(Candidates, [record]) and not offers(Candidates, [record, without]) and offers(Joint, [without])
    with pytest.raises(UsageError, match="candidates draws from the sites of generated slides, which d does not have"):
        runner(dataset, tmp_path).run(Plan(("candidates",), (0,)))


def test_a_run_of_the_controls(dataset, tmp_path):
    done = runner(dataset, tmp_path).run(Plan(("jsma", "shuffled", "oracle"), (0,)))
    jsma, shuffled, oracle = done.runs
    # trained and stopped as jsma: the same weights; shuffled at test: other patches
    ours, theirs = (torch.load(run / "weights.pt", weights_only=True)["strategy"] for run in (jsma, shuffled))
    assert all(torch.equal(ours[k], theirs[k]) for k in ours) and ours.keys() == theirs.keys()
    curves = [pd.read_parquet(run / "curve.parquet")["val_loss"].tolist() for run in (jsma, shuffled)]
    assert curves[0] == curves[1]
    logits = [pd.read_parquet(run / "predictions.parquet")["prob_a"].tolist() for run in (jsma, shuffled)]
    assert logits[0] != logits[1]
    # the oracle: every patch of an annotated slide on evidence, and it says that it was told
    rows = pd.read_parquet(oracle / "predictions.parquet").set_index("label")
    assert rows.loc["b", "patches"] == 3
    (seen,) = [one for one in read_snapshots(oracle / SNAPSHOTS) if one.label == "b"]
    assert (seen.cells0[:, 0] < W / 2).all()  # each touches it; its centre may lie outside, which in_evidence counts by
    table = {row["strategy"]: row for row in compare(load_runs(tmp_path))}
    assert [table[n]["uses_evidence"] for n in ("jsma", "shuffled", "oracle")] == [False, False, True]
    assert STRATEGY.write(table["oracle"]) == "oracle (uses evidence)" and STRATEGY.write(table["jsma"]) == "jsma"
    assert "oracle (uses evidence)" in markdown(list(table.values()))
    assert table["oracle"]["told"] == "uses evidence" and not table["jsma"]["told"]
    candidates = {**table["oracle"], "strategy": "candidates", "told": Candidates.told()}
    assert STRATEGY.write(candidates) == "candidates (knows the sites)"
