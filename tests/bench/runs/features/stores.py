"""Stores in a folder, with features that anyone can tell, and processes that fill them until they are killed."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.runs.features import disk_store
from bench.runs.features.disk_store import DiskStore, Shelf
from bench.runs.features.segment import SUFFIX
from jsma.metered.store import UnitCost

DIM, CELLS = 8, 300
MACHINE = {"cpu": "one"}


def features_at(cells, slide="s"):
    """What the encoder would say of cells [n] of a slide: the same whoever computes it."""
    number = sum(slide.encode())
    return np.sin(np.arange(1, DIM + 1)[None] * (np.asarray(cells)[:, None] + 1000 * number + 1)).astype(np.float32)


def store_in(folder, precision="float32", machine=MACHINE):
    return DiskStore(DIM, Shelf(folder, {}, machine, {"name": "sines"}), precision)


def filled(folder, slide="s", cells=range(200), **more):
    store, cells = store_in(folder, **more), np.array(cells)
    store.note(slide, UnitCost(read_s=2.0, tiles=4))
    store.note(slide, UnitCost(encode_s=1.0, patches=len(cells)))
    store.put(slide, CELLS, cells, features_at(cells, slide))
    store.flush()
    return store


def segments(folder):
    return sorted(Path(folder).rglob(f"*{SUFFIX}"))


def fill_for_ever(folder, number, rounds):
    """Read and write the same five slides as others do; a cell in four is written again although it is there."""
    disk_store.FLUSH_BYTES, disk_store.LOOK_S = 2000, 0.0
    store, random = store_in(Path(folder)), np.random.default_rng(number)
    print("ready", flush=True)
    for _ in range(rounds):
        slide, cells = "abcde"[random.integers(5)], np.sort(random.permutation(CELLS)[:40])
        rows, lacking = store.get(slide, cells)
        assert np.array_equal(rows[~lacking], features_at(cells[~lacking], slide)), "a wrong feature"
        lacking |= random.random(len(cells)) < 0.25
        store.put(slide, CELLS, cells[lacking], features_at(cells[lacking], slide))
    store.flush()


def started(folder, number, rounds):
    here = Path(__file__)
    code = f"import sys; sys.path[:0] = {[str(here.parents[4]), str(here.parent)]!r}; import stores; "
    code += f"stores.fill_for_ever({str(folder)!r}, {number}, {rounds})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
