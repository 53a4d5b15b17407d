"""A worker process that is killed costs one photo at most; photos in work share the memory that is free."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from bench import files
from bench.cli import main
from bench.datasets.photos import all_photos
from bench.datasets.photos.prepare import PrepareSettings, prepare_photos
from bench.workers import SHARED, pool
from tests.bench import killing
from tests.bench.datasets.photos.test_prepare_keeps import photos


def dataset(tmp_path, names):
    from bench.datasets.labelled import load

    return load(photos(tmp_path / "in", names))


def test_a_killed_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(all_photos, "convert", killing.convert_or_die)
    names = ("a.tif", "kill.tif", "b.tif", "once.tif", "c.tif", "d.tif")
    done = prepare_photos(dataset(tmp_path, names), tmp_path / "to", PrepareSettings(0.5, None, 2))
    assert list(done.failed) == ["kill.tif"] and "killed" in done.failed["kill.tif"]
    assert sorted(p.name for p in (tmp_path / "to").glob("*.tif")) == sorted(n for n in names if n != "kill.tif")
    assert done.converted == 5 and [row.path for row in done.rows] == [n for n in names if n != "kill.tif"]


def test_memory_is_shared(tmp_path, monkeypatch):
    free = 384 * 288 * all_photos.BYTES_A_PX * 1.5 / all_photos.MEMORY_SHARE  # for one of them, and a half
    monkeypatch.setattr(all_photos.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    monkeypatch.setattr(all_photos, "convert", killing.convert_alone)
    done = prepare_photos(
        dataset(tmp_path, ("a.tif", "b.tif", "c.tif")), tmp_path / "to", PrepareSettings(0.5, None, 3)
    )
    assert (done.converted, done.failed) == (3, {})
    monkeypatch.setattr(all_photos.psutil, "virtual_memory", lambda: SimpleNamespace(available=free / 2))
    done = prepare_photos(dataset(tmp_path, ("a.tif", "b.tif")), tmp_path / "other", PrepareSettings(0.5, None, 1))
    assert done.converted == 0 and "384x288 px take about" in done.failed["a.tif"]
    assert "vips" in done.failed["a.tif"]


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_full_disk_ends_it_in_one_line(tmp_path, monkeypatch, capsys, workers):
    monkeypatch.setattr(all_photos, "convert", killing.full_disk)
    labels, to = photos(tmp_path / "in", ("a.tif", "b.tif")), tmp_path / "to"
    asked = ["data", "prepare", labels, "--to", to, "--mpp", "0.5", "--workers", workers]
    monkeypatch.setattr(sys, "argv", ["jsma-bench", *map(str, asked)])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("preparing")]
    assert ended.value.code == 2 and line.startswith(f"error: --to {to}: the disk is full") and not list(to.iterdir())


@pytest.mark.skipif(not SHARED.is_dir(), reason="semaphores have no files here")
def test_semaphores_of_a_group_that_was_killed_are_removed_and_no_others():
    lines = (
        "import time",
        "from bench.workers import pool",
        "if __name__ == '__main__':",
        "    running = pool(1)",
        "    print(flush=True)",
        "    time.sleep(60)",
    )
    parent = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    mark = f"sem.jsma-{files.host()}-{parent.pid}-*"
    pool(1).shutdown()
    assert list(SHARED.glob(mark))  # its owner lives
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    assert list(SHARED.glob(mark))
    pool(1).shutdown()
    assert not list(SHARED.glob(mark))


def test_workers_end_with_a_parent_that_was_killed():
    lines = (
        "import os, time",
        "from bench.workers import pool",
        "if __name__ == '__main__':",
        "    running = pool(1)",
        "    print(running.submit(os.getpid).result(), flush=True)",
        "    time.sleep(60)",
    )
    parent = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    worker.wait(timeout=10)  # TimeoutExpired where it lives on
