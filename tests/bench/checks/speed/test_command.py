"""The command: mistakes are one line, Ctrl-C leaves nothing, two revisions are compared, exports are read."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench import cli
from bench.checks.speed.measuring.process import ROOT
from bench.checks.speed.measuring.revision import describe, git, revision
from bench.cli.commands.speed import speed_app
from bench.errors import NotComparableError
from tests.bench.checks.speed.planted import PLANTS, READ_PATH, plant


def jsma_bench(*arguments, root=ROOT, **rest):
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli", "speed", *map(str, arguments)],
        cwd=rest.pop("cwd", root),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root), **rest},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )


def in_process(arguments, monkeypatch, command=("speed",)):
    monkeypatch.setattr(sys, "argv", ["jsma-bench", *command, *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def ended(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def clone():
    if describe() == "unknown":
        pytest.skip("not a git checkout: there is no other revision to compare with")
    with plant("extra-tile") as folder:
        yield folder


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--baseline", "none.json"], "speed save"),
        (["check", "--against", "no-such-branch"], "no such revision"),
        (["check", "--against", "--upload-pack=x"], "not a revision"),
        (["check", "--against", "HEAD", "--operations", "reed"], "read_scattered"),
        (["check", "--against", "HEAD", "--tiers", "ratios"], "--tiers counters"),
        (["check", "--operations", "draw"], "--against"),
        (["check", "--tiers", "speed"], "counters, ratios, absolute"),
        (["check", "--clock", "sun"], "cpu, wall"),
        (["check", "--device", "abacus"], "cpu, cuda"),
    ],
)
def test_mistakes_are_one_line(arguments, says, gate_data, clone, capsys, monkeypatch):
    assert in_process([*arguments, "--data", str(gate_data)], monkeypatch) == 2
    text = capsys.readouterr().err
    assert says in text and len(text.strip().splitlines()) == 1


def test_baseline_is_another_name_of_the_command(gate_data, capsys, monkeypatch):
    assert in_process(["check", "--clock", "sun"], monkeypatch, ("baseline",)) == 2
    assert "cpu, wall" in capsys.readouterr().err
    assert in_process(["--help"], monkeypatch, ()) == 0
    assert "speed" in (shown := capsys.readouterr().out) and "baseline" not in shown


@pytest.mark.parametrize("document", ["docs/gate.md", ".github/workflows/ci.yml", "CONTRIBUTING.md"])
def test_commands_that_documents_show_exist(document):
    """Every option and command after `jsma-bench speed` is one that its help lists."""
    shown = re.findall(r"jsma-bench speed (\w+)([^`#\n]*)", (ROOT / document).read_text())
    assert shown
    from typer.main import get_command

    commands = get_command(speed_app).commands
    for name, rest in shown:
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, (name, rest)


def test_what_cannot_be_compared_is_one_line_and_code_4(gate_data, tmp_path, capsys, monkeypatch):
    (tmp_path / "b.json").write_text('{"format": 99}')
    arguments = ["check", "--baseline", str(tmp_path / "b.json"), "--data", str(gate_data)]
    assert in_process(arguments, monkeypatch) == 4
    text = capsys.readouterr().err
    assert "format 99" in text and len(text.strip().splitlines()) == 1


def test_a_revision_is_unpacked_and_removed(clone):
    with revision("HEAD~1", clone) as side:
        before = (side.root / READ_PATH).read_text()
        assert before + PLANTS["extra-tile"] == (clone / READ_PATH).read_text()
    assert not side.root.exists()
    author = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    empty = git("hash-object", "-t", "tree", "-w", "/dev/null", root=clone).decode().strip()
    commit = git(*author, "commit-tree", empty, "-m", "nothing", root=clone).decode().strip()
    with pytest.raises(NotComparableError, match="has no package jsma"), revision(commit, clone):
        pass


def test_a_fault_between_two_revisions_is_caught_and_exported(gate_data, clone, tmp_path):
    """The command as in CI, small and real. Counters decide: times of a test machine are reported, not asserted."""
    arguments = [
        "check",
        "--against",
        "HEAD~1",
        "--operations",
        "draw,read_scattered",
        "--blocks",
        "3",
        "--samples",
        "3",
        "--tolerance",
        "9",
        "--json",
        "--data",
        gate_data,
        "--export-github",
        tmp_path / "g.json",
        "--export-pytest-benchmark",
        tmp_path / "p.json",
    ]
    code, out, err = ended(jsma_bench(*arguments, root=clone))
    assert code == 1, err
    assert not git("status", "--porcelain", root=clone).strip()
    found = json.loads(out)["findings"]
    assert [f["name"] for f in found if f["verdict"] == "regression"] == ["read_scattered tile_decodings"]
    timed = {f["name"]: f["change"] for f in found if f["tier"] == "against"}
    assert timed.keys() == {"draw", "read_scattered"}
    assert all(c["low"] <= c["ratio"] <= c["high"] and c["blocks"] == 3 for c in timed.values())
    rows = json.loads((tmp_path / "g.json").read_text())
    assert {"draw", "read_scattered", "draw patches", "read_scattered tiles"} <= {row["name"] for row in rows}
    assert all(row["value"] > 0 for row in rows if row["unit"] == "s (cpu)")
    assert all(isinstance(row["value"], (int, float)) and isinstance(row["unit"], str) for row in rows)
    read = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(tmp_path / "p.json"), "--columns=min,median,rounds"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert read.returncode == 0 and "draw" in read.stdout and "read_scattered" in read.stdout, read.stderr
    own = {b["name"]: b for b in json.loads((tmp_path / "p.json").read_text())["benchmarks"]}
    assert own["draw"]["stats"]["rounds"] == 9 and own["draw"]["extra_info"]["patches"] == 256


@pytest.mark.parametrize(
    ("number", "while_running"), [(signal.SIGINT, "jsma.slides.process.worker"), (signal.SIGTERM, "gauge")]
)
def test_an_interrupted_check_leaves_nothing(number, while_running, gate_data, tmp_path):
    worktrees = worktree_folders()
    arguments = ["check", "--against", "HEAD", "--operations", "read_scattered", "--data", gate_data]
    process = jsma_bench(*arguments, TMPDIR=str(tmp_path))
    try:
        below = await_child(process, while_running)
        os.kill(process.pid, number)
        code, out, err = ended(process)
    finally:
        process.kill()
    assert code == 130 and "interrupted" in err and "Traceback" not in err
    gone, alive = psutil.wait_procs(below, timeout=10)
    assert not alive and not list(Path(tmp_path).iterdir())
    assert worktree_folders() == worktrees


def worktree_folders():
    """Folders alone: what other worktrees of the repository have checked out may change meanwhile."""
    return {line for line in git("worktree", "list", "--porcelain").split(b"\n") if line.startswith(b"worktree ")}


def await_child(process, module):
    """The processes below, once one that runs `module` is among them."""
    for _ in range(2000):  # a busy machine takes its time to start one
        below = psutil.Process(process.pid).children(recursive=True)
        if any(module in commands(child) for child in below):
            return below
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"{module} was not started")


def commands(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
