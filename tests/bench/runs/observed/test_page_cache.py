"""Warm and cold: pages that are dropped are counted, and a file that stays is never called cold."""

import os
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from bench.analysis.rows import compare
from bench.errors import UsageError
from bench.runs.kept.finished import load_runs
from bench.runs.observed import page_cache
from bench.runs.observed.page_cache import COLD, UNVERIFIED, WARM, drop, files_of, prepare, resident_pages
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.settings import RunSettings
from tests.bench.runs.kept.test_finished import write

PAGES = 64


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "slide.tif"
    path.write_bytes(os.urandom(PAGES * 4096 - 7))
    return path


def test_reading_brings_pages_in_and_dropping_takes_them_out(file):
    assert prepare(str(file), WARM) == WARM and resident_pages(file) == PAGES
    with open(file, "rb") as opened:  # as `drop` does it: can pages be dropped here at all?
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if resident_pages(file):
        pytest.skip("this file system keeps its pages (in memory, or no posix_fadvise)")
    assert prepare(str(file), WARM) == WARM and resident_pages(file) == PAGES
    assert drop([file]) and resident_pages(file) == 0
    assert prepare(str(file), WARM) == WARM and prepare(str(file), COLD) == COLD
    with open(file, "rb", buffering=0) as opened:
        opened.read(4096)
    assert resident_pages(file) > 0


def test_a_file_that_stays_in_memory_is_not_called_cold():
    if not Path("/dev/shm").is_dir():
        pytest.skip("no file system in memory here")
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as kept:
        kept.write(os.urandom(8192))
        kept.flush()
        assert prepare(kept.name, COLD) == UNVERIFIED and resident_pages(Path(kept.name)) == 2


def test_without_an_answer_of_the_system_nothing_is_cold(file, monkeypatch):
    monkeypatch.setattr(page_cache, "resident_pages", lambda path: None)
    assert prepare(str(file), COLD) == UNVERIFIED


def test_the_folder_of_a_mirax_slide_belongs_to_it(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a.mrxs", "a/Data0000.dat", "a/Slidedat.ini"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in files_of(str(tmp_path / "a.mrxs"))] == ["a.mrxs", "Data0000.dat", "Slidedat.ini"]
    assert files_of(str(tmp_path / "a.tif")) == [tmp_path / "a.tif"]


def test_another_state_cannot_be_asked():
    with pytest.raises(UsageError, match="allowed: warm, cold"):
        assign(PRESETS["tiny"], RunSettings(), ("cache=hot",))


def test_warm_and_cold_never_meet_in_a_ratio(tmp_path):
    for strategy in ("exhaustive", "jsma"):
        for state in (WARM, COLD):
            write(tmp_path, strategy, seed=int(state == COLD), cache=state)
            path = next(tmp_path.glob(f"x-{strategy}-0-{int(state == COLD)}-*")) / "predictions.parquet"
            rows = pd.read_parquet(path).assign(cache=state, seconds=3.0 if strategy == "exhaustive" else 1.0)
            if (strategy, state) == ("jsma", COLD):  # two files could not be dropped: their seconds do not count
                rows.loc[:1, ["cache", "seconds"]] = (UNVERIFIED, 100.0)
            rows.to_parquet(path, index=False)
    by = {(r["strategy"], r["settings"]): r for r in compare(load_runs(tmp_path))}
    assert set(by) == {(s, f"cache={c}") for s in ("exhaustive", "jsma") for c in (WARM, COLD)}
    cold, warm = by["jsma", "cache=cold"], by["jsma", "cache=warm"]
    assert cold["inference_speedup_vs_exhaustive"] == pytest.approx(3.0)
    assert cold["cache"] == "cold 6, unverified 2" and cold["inference_s_per_slide"] is None
    assert warm["cache"] == "warm" and warm["inference_s_per_slide"] == 1.0
