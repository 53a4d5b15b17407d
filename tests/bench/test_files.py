"""A full disk, a read-only folder, two writers, a kill: one line, and nothing that was there is lost."""

import errno
import io
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import files
from bench.cli import main
from bench.datasets.generated.demo import DemoSettings, generate
from bench.datasets.generated.demo.write import slide_name
from bench.errors import UsageError
from bench.studies.made_up_runs import write as write_runs
from bench.workers import mapped

TINY = DemoSettings(slides=2, side0_px=1024)


class Full:
    """`open` of files that hold `room` bytes and then are full."""

    def __init__(self, monkeypatch, number=errno.ENOSPC):
        def sync(path):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(files, "sync", sync)


def test_what_was_there_stays_when_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_bytes(path, b"old")
    Full(monkeypatch)
    with pytest.raises(OSError, match="No space left") as raised:
        files.write_bytes(path, b"new content")
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(path)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_the_error_of_the_disk_comes_through_libraries(tmp_path):
    class Handle(io.BytesIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    for write in (
        lambda handle: torch.save({"a": torch.zeros(1000)}, handle),
        lambda handle: np.savez_compressed(handle, a=np.zeros(1000)),
    ):
        noting = files._Noting(Handle())
        with pytest.raises(Exception):  # noqa: B017 - whatever the library makes of it
            write(noting)
        assert noting.failure.errno == errno.ENOSPC


def test_a_file_that_is_not_changed_is_not_written(tmp_path):
    path = tmp_path / "a.csv"
    files.write_bytes(path, b"x")
    os.utime(path, (1, 1))
    files.write_bytes(path, b"x")
    assert path.stat().st_mtime == 1
    files.write_bytes(path, b"y")
    assert path.stat().st_mtime > 1 and path.read_bytes() == b"y"


@pytest.mark.parametrize("number, words", ((errno.ENOSPC, "the disk is full"), (errno.EROFS, "it is read-only")))
@pytest.mark.parametrize("command", ("compare", "report", "run"))
def test_commands_end_in_one_line_with_the_option(command, number, words, tmp_path, monkeypatch, capsys):
    write_runs(4, tmp_path / "runs")
    asked = {
        "compare": ["compare", tmp_path / "runs", "--save", tmp_path / "to" / "table"],
        "report": ["report", tmp_path / "runs", "--to", tmp_path / "to"],
        "run": ["run", "--preset", "tiny", "--out", tmp_path / "out", "--data", tmp_path / "data"],
    }[command]
    option = {"compare": "--save", "report": "--to", "run": "--data"}[command]
    (tmp_path / "to").mkdir()
    Full(monkeypatch, number)
    monkeypatch.setattr(Path, "write_text", lambda path, _: (_ for _ in ()).throw(OSError(number, "x", str(path))))
    monkeypatch.setattr(sys, "argv", ["jsma-bench", *map(str, asked)])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert ended.value.code == 2 and words in line and f"{option} {tmp_path}" in line and "Traceback" not in err
    assert "run the same command again" in line


def test_slides_are_not_written_again_and_what_a_kill_left_goes(tmp_path):
    generate(TINY, tmp_path)
    leftover = tmp_path / f"{slide_name(1)}.scratch.{files.host()}-999999999.tmp"
    leftover.mkdir()
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    before = {p.name: p.stat().st_mtime for p in tmp_path.iterdir() if p != leftover}
    assert set(before) == {
        "labels.csv",
        "settings.json",
        *(f"slide_0000{i}.{e}" for i in (0, 1) for e in ("tif", "mask.png", "sites.png")),
    }
    generate(TINY, tmp_path)
    assert {p.name: p.stat().st_mtime for p in tmp_path.iterdir()} == before


def test_a_damaged_stamp_of_slides_is_named(tmp_path):
    generate(DemoSettings(slides=1, side0_px=1024), tmp_path)
    (tmp_path / "settings.json").write_text("")
    with pytest.raises(ValueError, match="settings.json: damaged"):
        generate(TINY, tmp_path)


def _generate(folder):
    generate(TINY, folder, workers=1)


def test_two_processes_generate_into_one_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_generate, args=(tmp_path / "both",)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    generate(TINY, tmp_path / "one")
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "both"))
    assert one == two


def _killed(item):
    os.kill(os.getpid(), signal.SIGKILL)


def _full(item):
    raise OSError(errno.ENOSPC, "No space left on device", "slide")


def test_a_killed_process_of_the_pool_is_one_line():
    with pytest.raises(UsageError, match="ended from outside"):
        list(mapped(_killed, [1, 2], 2))
    with pytest.raises(OSError, match="No space left"):
        list(mapped(_full, [1, 2], 2))


def test_what_is_read_and_written_back_is_done_by_one_at_a_time(tmp_path):
    (tmp_path / "rows").write_text("")

    def add(one):
        for _ in range(20):
            with files.alone_in(tmp_path):
                rows = (tmp_path / "rows").read_text()
                time.sleep(0.001)
                (tmp_path / "rows").write_text(f"{rows}{one}")

    threads = [threading.Thread(target=add, args=(one,)) for one in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((tmp_path / "rows").read_text()) == sorted("abc" * 20)


def test_a_file_of_another_machine_is_left_over_after_a_day(tmp_path):
    """Its process cannot be asked, and may write again after hours; one of this machine can be asked at once."""
    hour_s, now = 3600, time.time()
    ages_s = {
        "a.csv.01234567-5.tmp": 23 * hour_s,
        "b.csv.01234567-5.tmp": 25 * hour_s,
        f"c.csv.{files.host()}-999999999.tmp": 0,
        f"d.csv.{files.host()}-{os.getpid()}.tmp": 99 * hour_s,
        "e.csv": 99 * hour_s,
    }
    for name, age_s in ages_s.items():
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (now - age_s, now - age_s))
    files.remove_leftovers(tmp_path)
    kept = {"a.csv.01234567-5.tmp", f"d.csv.{files.host()}-{os.getpid()}.tmp", "e.csv"}
    assert {path.name for path in tmp_path.iterdir()} == kept
