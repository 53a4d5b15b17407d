"""Two processes and one run: one makes it, nobody takes it away, and what the dead held is free."""

import errno
import json
import os
import subprocess
import sys

import pytest

from bench import claims as claim
from bench import files
from bench.claims import Claims, Owner


def claimed(out, **changed):
    """A claim of somebody else."""
    path = out / "x.claim"
    path.write_text(json.dumps({**vars(Owner.this()), **changed}))
    return path


def test_a_run_is_claimed_once_until_it_is_released(tmp_path):
    first, second = Claims(tmp_path), Claims(tmp_path)
    assert first.take("x") is None and first.take("x") is None and first.mine("x")
    assert second.take("x") == Owner.this() and second.take("y") is None
    second.release("x")  # not its own
    assert second.take("x") is not None and first.mine("x")
    first.release("x")
    assert not first.mine("x") and second.take("x") is None
    second.close()
    assert not list(tmp_path.glob("*.claim"))


def test_of_many_processes_one_has_the_run(tmp_path):
    code = (
        "import sys; from bench.claims import Claims; c = Claims(__import__('pathlib').Path(sys.argv[1]));"
        "print(c.take('x') is None, flush=True); sys.stdin.read()"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    said = [process.stdout.readline().strip() for process in running]
    assert sorted(said) == ["False"] * 3 + ["True"]
    for process in running:
        process.communicate("")
    assert Claims(tmp_path).take("x") is None  # it ended without releasing


def test_a_claim_of_a_process_that_is_no_more_is_taken_over(tmp_path):
    done = subprocess.Popen(["true"])
    done.wait()
    claimed(tmp_path, pid=done.pid)
    claims = Claims(tmp_path)
    assert claims.take("x") is None and claims.mine("x")
    claims.release("x")
    claimed(tmp_path, started=Owner.this().started - 100)  # its number was given to another process since
    assert claims.take("x") is None


def test_a_claim_of_another_machine_counts_while_it_is_touched(tmp_path):
    path = claimed(tmp_path, host="0" * 8, node="elsewhere")
    assert Claims(tmp_path).take("x").words == f"process {os.getpid()} on elsewhere"
    old = path.stat().st_mtime - claim.STALE_S - 1
    os.utime(path, (old, old))
    assert Claims(tmp_path).take("x") is None


def test_a_claim_that_was_cut_short_is_no_claim_for_long(tmp_path):
    path = tmp_path / "x.claim"
    path.write_text("{")
    assert Claims(tmp_path).take("x") is not None
    old = path.stat().st_mtime - claim.TOUCH_S - 1
    os.utime(path, (old, old))
    assert Claims(tmp_path).take("x") is None


def test_a_full_disk_leaves_no_claim(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(claim.json, "dump", full)
        with pytest.raises(OSError) as raised:
            Claims(tmp_path).take("x")
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path / "x.claim")
    assert not list(tmp_path.glob("*.claim")) and Claims(tmp_path).take("x") is None


def test_a_claim_is_touched_and_its_loss_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "TOUCH_S", 0.02)
    claims = Claims(tmp_path)
    claims.take("x")
    path = tmp_path / "x.claim"
    os.utime(path, (0, 0))
    for _ in range(200):
        if path.stat().st_mtime > 1:
            break
        claims._stop.wait(0.02)
    assert path.stat().st_mtime > 1
    claimed(tmp_path, host="0" * 8)
    assert not claims.mine("x")
    claims.close()
    assert path.is_file()  # of the other one


@pytest.mark.parametrize("folder", (False, True))
def test_what_killed_processes_left_is_removed_and_nothing_else(folder, tmp_path):
    done = subprocess.Popen(["true"])
    done.wait()
    old = 1e9
    names = {
        f"a.tif.{files.host()}-{done.pid}.tmp": False,
        f"b.tif.{done.pid}.tmp": True,  # the second: not our mark
        f"c.tif.{files.host()}-{os.getpid()}.tmp": True,
        f"d.tif.{os.getpid()}.tmp": True,
        f"e.tif.00000000-{done.pid}.tmp": False,
        "f.tif": True,
        "notes.tmp": True,
        "g.1x.tmp": True,
    }
    for name in names:
        path = tmp_path / name
        path.mkdir() if folder else path.touch()
        if folder:
            (path / "0.raw").touch()
        os.utime(path, (old, old))
    (tmp_path / f"h.tif.00000000-{done.pid}.tmp").touch()  # of another machine, a moment ago
    files.remove_leftovers(tmp_path)
    kept = {name for name, stays in names.items() if stays} | {f"h.tif.00000000-{done.pid}.tmp"}
    assert {path.name for path in tmp_path.iterdir()} == kept
