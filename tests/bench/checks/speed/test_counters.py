"""Counters are exact: what is counted by the reading path is what is decoded, and one tile more is caught."""

import shutil

import pytest

from bench.checks.speed.gauge.operations import OPERATIONS
from bench.checks.speed.gauge.workload import Sizes
from bench.checks.speed.measuring.measure import count
from bench.checks.speed.measuring.process import ROOT, Rig, Side
from bench.checks.speed.verdict.counters import compare_counters
from bench.checks.speed.verdict.findings import exit_code, write_lines
from tests.bench.checks.speed.conftest import write_slide
from tests.bench.checks.speed.planted import PLANTS, READ_PATH

COSTS = {"tiles": 10, "decoded_px": 655360, "compressed_bytes": 5000, "tile_decodings": 10, "patches": 16}


def verdicts(new, same_slides=True):
    found = compare_counters({"read": COSTS}, {"read": COSTS | new}, same_slides)
    return {f.name.split()[1]: f.verdict for f in found if f.verdict != "ok"}, exit_code(found)


@pytest.mark.parametrize(
    ("new", "verdict", "code"),
    [
        ({}, {}, 0),
        ({"tiles": 11}, {"tiles": "regression"}, 1),
        ({"tile_decodings": 11}, {"tile_decodings": "regression"}, 1),
        ({"decoded_px": 655359}, {"decoded_px": "improved"}, 0),
        ({"patches": 15}, {"patches": "regression"}, 1),  # less work is no improvement
        ({"compressed_bytes": 5001}, {"compressed_bytes": "regression"}, 1),
        ({"calls": 4}, {"calls": "not compared"}, 0),
    ],
)
def test_verdicts(new, verdict, code):
    assert verdicts(new) == (verdict, code)


def test_bytes_of_other_slides_are_not_compared():
    assert verdicts({"compressed_bytes": 9999}, same_slides=False) == ({"compressed_bytes": "not compared"}, 0)
    assert verdicts({"tiles": 11}, same_slides=False)[1] == 1


def test_bytes_that_are_not_compared_are_one_line_that_says_how_to():
    """However many operations there are; a check that leaves something out and looks whole would be believed."""
    base = {"read": COSTS, "train": COSTS, "draw": {"patches": 1}}
    told = write_lines(compare_counters(base, base, same_slides=False))
    (line,) = [line for line in told if "compressed_bytes" in line]
    assert line.startswith("not compared") and "of 2 operations" in line and "\n" not in line
    assert "speed save" in line and "--against" in line
    assert not any("compressed_bytes" in line for line in write_lines(compare_counters(base, base, same_slides=True)))
    assert (
        len(write_lines(compare_counters({"draw": {"patches": 1}}, {"draw": {"patches": 1}}, same_slides=False))) == 2
    )


def test_nothing_in_common_is_not_comparable():
    assert exit_code(compare_counters({"a": {"tiles": 1}}, {"b": {"tiles": 1}}, True)) == 4


@pytest.fixture(scope="module")
def rig(gate_data):
    return Rig(next(gate_data.glob("gate-*")))


@pytest.fixture(scope="module")
def counted(rig):
    return count((Side("here", ROOT),), rig, list(OPERATIONS))[0]


def test_what_is_counted_is_what_is_decoded(counted):
    """The reading path counts tiles from its plan; here every decoding is observed."""
    assert not counted.errors and counted.counters.keys() == OPERATIONS.keys()
    for name, own in counted.counters.items():
        assert own["tile_decodings"] == own.get("tiles", 0), name
    sizes = Sizes()
    grid = counted.counters["read_grid"]
    assert grid["tiles"] == (sizes.large0_px // 256) ** 2 and grid["decoded_px"] == sizes.large0_px**2
    assert grid["patches"] == (sizes.large0_px // sizes.patch_px) ** 2
    assert counted.counters["infer_jsma"]["patches"] == sizes.n_patches
    assert counted.counters["train_jsma"]["patches"] == 2 * sizes.n_patches
    per_patch = counted.counters["encode"]["encoder_flops"] // sizes.encoded
    assert counted.counters["infer_exhaustive"]["encoder_flops"] == per_patch * (sizes.small0_px // 64) ** 2


def test_a_planted_extra_decoding_is_caught_by_counters_alone(counted, rig, tmp_path):
    """The code is a copy of this one with a fault that its own counters do not tell."""
    for package in ("jsma", "baselines"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / READ_PATH).open("a") as code:
        code.write(PLANTS["extra-tile"])
    names = ["read_scattered", "infer_jsma", "draw"]
    planted = count((Side("planted", tmp_path),), rig, names)[0]
    before = {name: counted.counters[name] for name in names}
    bad = [f for f in compare_counters(before, planted.counters, True) if f.verdict != "ok"]
    assert [(f.name, f.verdict) for f in bad] == [
        ("infer_jsma tile_decodings", "regression"),
        ("read_scattered tile_decodings", "regression"),
    ]
    assert bad[1].head == bad[1].base + 1 and exit_code(bad) == 1


def test_counters_do_not_depend_on_pixels(counted, rig, tmp_path):
    """Other pixels (another JPEG library, another generator) change the bytes and nothing else."""
    import numpy as np
    import tifffile

    for path in rig.slides.glob("*.tif"):
        with tifffile.TiffFile(path) as tif:
            levels = [np.full(page.shape, (190, 90, 160), np.uint8) for page in tif.pages]
        for level in levels:
            level[::7, ::3] = 60
        write_slide(tmp_path / path.name, *levels)
    names = ["read_scattered", "overview", "infer_jsma", "train_jsma"]
    other = count((Side("here", ROOT),), Rig(tmp_path), names)[0]
    before = {name: counted.counters[name] for name in names}
    moved = [f for f in compare_counters(before, other.counters, True) if f.verdict != "ok"]
    assert moved and {f.name.split()[1] for f in moved} == {"compressed_bytes"}
