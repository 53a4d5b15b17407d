"""Features in a folder: what one process put another gets, whatever happens meanwhile."""

import os
import shutil
import signal
import time

import numpy as np
import pytest

from bench.runs.features import disk_store
from bench.runs.features.segment import check_segment, read_cells
from jsma.metered.store import UnitCost
from tests.bench.runs.features.stores import CELLS, DIM, features_at, filled, segments, started, store_in


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch):
    monkeypatch.setattr(disk_store, "LOOK_S", 0.0)


@pytest.mark.parametrize("precision", ("float32", "float16"))
def test_what_one_process_put_another_gets_bit_for_bit(tmp_path, precision):
    filled(tmp_path, precision=precision)
    other, asked = store_in(tmp_path, precision), np.array([199, 3, 64, 250])
    rows, lacking = other.get("s", asked)
    assert rows.dtype == np.float32 and lacking.tolist() == [False, False, False, True]
    assert np.array_equal(rows[:3], features_at(asked[:3]).astype(precision)) and not rows[3].any()
    assert other.get("t", asked)[1].all() and other.taken == 3


def test_what_waits_to_be_written_is_there_and_a_slide_may_be_there_in_part(tmp_path):
    store = store_in(tmp_path)
    for cells in ([7, 2], [5], [2, 9]):
        store.put("s", CELLS, np.array(cells), features_at(cells))
    assert not segments(tmp_path)
    for _ in ("waiting", "written"):
        rows, lacking = store.get("s", np.array([9, 2, 3, 7, 5]))
        assert lacking.tolist() == [False, False, True, False, False]
        assert np.array_equal(rows[~lacking], features_at([9, 2, 7, 5]))
        store.flush()
    (segment,) = map(check_segment, segments(tmp_path))
    assert read_cells(segment).tolist() == [2, 5, 7, 9] and segment.notes["n_cells"] == CELLS


def test_a_cost_that_was_noted_before_its_features_is_written_with_them(tmp_path):
    store = store_in(tmp_path)
    store.note("s", UnitCost(read_s=2.0, tiles=4))
    store.flush()
    store.put("s", CELLS, np.arange(3), features_at(range(3)))
    store.flush()
    (segment,) = map(check_segment, segments(tmp_path))
    assert UnitCost(**segment.notes["unit"]) == UnitCost(read_s=2.0, tiles=4)


def test_readers_take_the_union_and_notice_what_is_written_meanwhile(tmp_path):
    filled(tmp_path, cells=range(0, 100))
    store, asked = store_in(tmp_path), np.arange(CELLS)
    assert store.get("s", asked)[1].sum() == CELLS - 100
    filled(tmp_path, cells=range(50, 200))
    rows, lacking = store.get("s", asked)
    assert lacking.tolist() == [False] * 200 + [True] * (CELLS - 200)
    assert np.array_equal(rows[:200], features_at(range(200)))


def test_prices_are_those_of_this_machine_or_else_of_those_that_filled_it(tmp_path):
    filled(tmp_path)
    filled(tmp_path, machine={"cpu": "two"}, cells=range(200, 240))
    one, other = (store_in(tmp_path, machine={"cpu": cpu}) for cpu in ("one", "three"))
    for store in (one, other):
        store.get("s", np.arange(CELLS))
    assert one.price == UnitCost(2.0, 4, 1.0, 200) and one.machines == [{"cpu": "one"}]
    assert other.price == UnitCost(4.0, 8, 2.0, 240) and other.machines == [{"cpu": "one"}, {"cpu": "two"}]
    other.note("s", UnitCost(1.0, 1, 1.0, 1))
    assert other.price == UnitCost(1.0, 1, 1.0, 1) and other.machines == [{"cpu": "three"}]


def test_the_price_of_what_a_process_wrote_itself_counts_once(tmp_path):
    store = filled(tmp_path)
    store.get("s", np.arange(CELLS))
    assert store.price == UnitCost(2.0, 4, 1.0, 200)


def test_what_is_held_does_not_grow_with_the_number_of_slides(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_store, "FLUSH_BYTES", 8 << 10)
    store, most = store_in(tmp_path), 0
    for slide in map(str, range(60)):
        store.put(slide, CELLS, np.arange(100), features_at(range(100), slide))
        most = max(most, store._pending_bytes)
    assert 0 < most < 8 << 10 and len(segments(tmp_path)) >= 58


def test_a_file_that_is_removed_meanwhile_is_computed_again(tmp_path, caplog):
    filled(tmp_path)
    store = store_in(tmp_path)
    assert not store.get("s", np.arange(200))[1].any()
    segments(tmp_path)[0].unlink()
    rows, lacking = store.get("s", np.arange(200))
    assert lacking.all() and not rows.any() and not caplog.records
    store.put("s", CELLS, np.arange(200), features_at(range(200)))
    assert not store.get("s", np.arange(200))[1].any()


def test_a_disk_that_is_full_is_told_once_and_the_run_goes_on(tmp_path, caplog, monkeypatch):
    store = store_in(tmp_path)

    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.files.sync", full)
    for cells in ([1, 2], [3]):
        store.put("s", CELLS, np.array(cells), features_at(cells))
        store.flush()
    assert store.get("s", np.array([1, 2, 3]))[1].all()
    (said,) = caplog.messages
    assert said.startswith(f"features in {tmp_path}: cannot be written (No space left") and "goes on" in said


def test_a_slide_of_unknown_content_is_never_written(tmp_path):
    store = filled(tmp_path, slide="")
    assert not segments(tmp_path) and store.get("", np.arange(200))[1].all()


def assert_sound(folder):
    """Every file is whole and every feature right; slide -> how many cells lack."""
    lacks = {}
    for path in segments(folder):
        check_segment(path)
    store = store_in(folder)
    for slide in "abcde":
        rows, lacking = store.get(slide, np.arange(CELLS))
        assert np.array_equal(rows[~lacking], features_at(np.flatnonzero(~lacking), slide))
        lacks[slide] = int(lacking.sum())
    return lacks


def test_several_processes_write_and_read_at_once(tmp_path):
    children = [started(tmp_path, number, 60) for number in range(3)]
    for child in children:
        assert child.wait(timeout=120) == 0
        child.stdout.close()
    assert max(assert_sound(tmp_path).values()) < CELLS / 10  # each asks for 2,400 cells at random
    assert len({path.name[:-25] for path in segments(tmp_path)}) == 3


def test_kills_at_random_moments_leave_a_valid_store(tmp_path):
    """Twenty: two processes at a time write, and are killed some milliseconds after they began."""
    random = np.random.default_rng(0)
    for round_ in range(10):
        children = [started(tmp_path, 2 * round_ + number, 10**9) for number in range(2)]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            time.sleep(float(random.uniform(0, 0.1)))
            assert child.poll() is None, "it was to be killed at work"
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()
    assert_sound(tmp_path)
    assert segments(tmp_path)


def test_what_killed_processes_left_is_removed_by_the_next_writer(tmp_path):
    filled(tmp_path)
    folder = segments(tmp_path)[0].parent
    left = folder / f"x.safetensors.{disk_store.host()}-{2**22 + 1}.tmp"
    left.write_bytes(b"half")
    filled(tmp_path, cells=range(200, 210))
    assert not left.exists()
    shutil.rmtree(folder)
    assert store_in(tmp_path).get("s", np.arange(DIM))[1].all()
