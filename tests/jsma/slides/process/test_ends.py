"""However a run ends, no process, no shared memory and no folder of ours is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jsma.slides import DamagedSlideError, Regions, SlideError, open_slide
from jsma.slides.process.client import Isolated, client

ROOT = str(Path(__file__).resolve().parents[4])
START = """
import os, sys, time, signal
import numpy as np
from jsma.slides import *
from jsma.slides.process.client import client
path = sys.argv[1]
regions = Regions(np.array([[99.0, 99.0]]), 0.5, 8, 8)
slide = open_slide(path)
slide.read(regions)
print(client(False, None).pid, flush=True)
"""
LONG_READ = """
many = Regions(np.random.default_rng(0).uniform(0, 700, (2000, 2)), 0.7, 256, 256)
threading = __import__("threading")
"""


def start(code: str, path: Path, scratch: Path) -> tuple[subprocess.Popen[str], int]:
    """Python running `code` after a first read; its temporary folders are in `scratch`. Its process, the child's id."""
    parent = subprocess.Popen(
        [sys.executable, "-c", START + code, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def finish(parent: subprocess.Popen[str]) -> tuple[str, str]:
    """The rest of its output; not `communicate`, which loses what `readline` has buffered."""
    assert parent.stdout is not None and parent.stderr is not None
    with parent:
        return parent.stdout.read(), parent.stderr.read()


def gone(pid: int) -> bool:
    """Whether the process is gone within 5 s (a zombie counts: it holds nothing)."""
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        try:
            if state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def left(scratch: Path) -> list[str]:
    """What is left of ours in the folder of temporary files, after at most 2 s."""
    for _ in range(40):
        found = [p.name for p in scratch.iterdir()]
        if not found:
            break
        time.sleep(0.05)
    return found


@pytest.fixture
def scratch(tmp_path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


ENDINGS = {
    "normal": ("", None),
    "exception": ("raise SystemExit(3)", None),
    "killed while idle": ("time.sleep(60)", signal.SIGKILL),
    "killed while reading": (LONG_READ + "print('go', flush=True)\nwhile True: slide.read(many)", signal.SIGKILL),
    "terminated": ("time.sleep(60)", signal.SIGTERM),
    "interrupted while idle": ("time.sleep(60)", signal.SIGINT),
    "interrupted while reading": (LONG_READ + "print('go', flush=True)\nwhile True: slide.read(many)", signal.SIGINT),
    "exits at once": ("os._exit(0)", None),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left(ending, jpeg, tmp_path, scratch):
    code, number = ENDINGS[ending]
    parent, child = start(code, jpeg, scratch)
    if "go" in code:
        assert parent.stdout is not None and parent.stdout.readline() == "go\n"
        time.sleep(0.3)
    if number is not None:
        os.killpg(parent.pid, number)  # as a terminal does: the decoding process gets it too
    finish(parent)
    assert gone(child)
    if number != signal.SIGKILL:  # when both are killed at once nobody is left to clean up
        assert left(scratch) == []


def test_folders_of_killed_runs_go_at_the_next_start_and_no_others(jpeg, tmp_path, scratch):
    """Both processes are killed at once, so that nobody cleans up; a run that still lives keeps its folder."""
    living, of_living = start("time.sleep(60)", jpeg, scratch)
    mine = {p.name for p in scratch.iterdir()}
    killed, child = start("time.sleep(60)", jpeg, scratch)
    os.killpg(killed.pid, signal.SIGKILL)
    finish(killed)
    assert gone(child) and len(list(scratch.iterdir())) == 2
    (scratch / "jsma-slides-other").mkdir()  # without a lock: being made this moment
    last, _ = start("", jpeg, scratch)
    finish(last)
    assert {p.name for p in scratch.iterdir()} == {*mine, "jsma-slides-other"}
    living.kill()
    finish(living)
    assert gone(of_living)


def test_child_cleans_up_after_a_killed_parent(jpeg, tmp_path, scratch):
    parent, child = start("time.sleep(60)", jpeg, scratch)
    assert [p.name for p in scratch.iterdir() if p.name.startswith("jsma-slides-")]
    parent.kill()
    finish(parent)
    assert gone(child) and left(scratch) == []


def test_interrupted_read_leaves_a_client_that_works(jpeg, tmp_path, scratch):
    code = LONG_READ + (
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    while True: slide.read(many)\n"
        "except KeyboardInterrupt: print(len(slide.read(regions)[0]), client(False, None).pid)\n"
    )
    parent, child = start(code, jpeg, scratch)
    out, err = finish(parent)
    number, second = out.split()
    assert number == "1" and int(second) != child, err
    assert gone(child) and gone(int(second)) and left(scratch) == []


def test_interrupted_in_process_read_stops_its_threads(jpeg, tmp_path, scratch):
    code = LONG_READ + (
        "here = open_slide(path, in_process=True)\n"
        "here.read(regions)\n"  # the decoder's modules are imported: an import cut short cannot be taken up again
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    while True: here.read(many)\n"
        "except KeyboardInterrupt: print(len(here.read(regions)[0]))\n"
    )
    parent, _ = start(code, jpeg, scratch)
    out, err = finish(parent)
    assert out.split() == ["1"], err
    assert left(scratch) == []


def test_failed_opens_leave_nothing(jpeg, tmp_path, scratch):
    code = (
        "for n, data in enumerate([b'', b'II*\\0', open(path, 'rb').read()[:400], b'x' * 999]):\n"
        "    for name in (f'{n}.tif', f'{n}.TIF', f'{n}.png', f'{n}.ndpi', f'{n}.mrxs'):\n"
        "        at = os.path.join(os.path.dirname(path), name); open(at, 'wb').write(data)\n"
        "        try: open_slide(at, mpp=0.5).read(regions)\n"
        "        except SlideError: print('refused')\n"
        "        else: print(name)\n"
    )
    copy = tmp_path / "s.tif"
    copy.write_bytes(jpeg.read_bytes())
    parent, child = start(code, copy, scratch)
    out, err = finish(parent)
    assert out.split() == ["refused"] * 20, err
    assert gone(child) and left(scratch) == []


def test_fork_has_a_child_of_its_own(jpeg):
    regions = Regions(np.array([[300.0, 300.0]]), 0.5, 64, 64)
    opened = open_slide(jpeg)
    pixels = opened.read(regions)[0]
    before, ours = pixels.copy(), client(False, None).pid
    end, other = os.pipe()
    pid = os.fork()
    if pid == 0:  # the fork reads by itself and leaves as a worker does, by os._exit
        try:
            again = open_slide(jpeg)
            same = np.array_equal(again.read(regions)[0], before)
            os.write(other, f"{int(same)} {client(False, None).pid}".encode())
            client(False, None).close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    same, theirs = os.read(end, 99).split()
    os.close(end), os.close(other)
    assert same == b"1" and int(theirs) != ours
    assert gone(int(theirs)) and Path(f"/proc/{ours}").exists()
    assert np.array_equal(opened.read(regions)[0], before) and np.array_equal(pixels, before)


def test_slide_opened_before_a_fork_still_reads_in_the_fork(jpeg):
    regions = Regions(np.array([[300.0, 300.0]]), 0.5, 64, 64)
    opened = open_slide(jpeg)
    before = opened.read(regions)[0].copy()
    pid = os.fork()
    if pid == 0:
        ok = False
        try:
            ok = np.array_equal(opened.read(regions)[0], before)
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert np.array_equal(opened.read(regions)[0], before)


def test_many_opens_and_closes_hold_few_files(jpeg, tmp_path, scratch):
    regions = Regions(np.array([[100.0, 100.0]]), 0.5, 16, 16)
    mine = Isolated(2)
    copies = [tmp_path / f"{n}.TIF" for n in range(20)]
    for copy in copies:
        copy.write_bytes(jpeg.read_bytes())
    for copy in copies * 2:
        with open_slide(copy) as opened:
            opened.read(regions)
    pid = client(False, None).pid
    links = [os.readlink(p) for p in Path(f"/proc/{pid}/fd").iterdir()]
    assert len({link for link in links if link.endswith(".TIF")}) <= 8
    assert len(list(Path(f"/proc/{pid}/cwd").glob("jsma-cucim-*"))) <= 8
    mine.close()


def test_child_that_cannot_start_is_one_line(jpeg, monkeypatch):
    broken = Isolated(1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    opened = open_slide(jpeg)
    with pytest.raises(SlideError, match="exit code 1") as caught:
        broken.read(opened._spec, None, (1, 2, 2, 3))
    assert not isinstance(caught.value, DamagedSlideError)
    assert broken.pid is None
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(SlideError):
        broken.read(opened._spec, None, (1, 2, 2, 3))
