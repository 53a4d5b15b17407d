"""What the three campaigns share: tiny data of a user, the commands on them, and what must hold at the end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import tifffile
from PIL import Image

ROOT = Path(__file__).parents[2]
CONFIG = "name=test_resnet pretrained=null epochs=3 n_patches=4 patch_px=32 mpps=[1,2] mpp=1 overview_mpp=8".split()
SET = [part for text in CONFIG for part in ("--set", text)]
TRAINED = ["--slides", "../user/slides/labels.csv", "--strategies", "jsma,random,search", *SET]
COMMANDS = {
    "prepare": ["data", "prepare", "../user/photos/labels.csv", "--to", "prepared", "--mpp", "0.5", "--workers", "2"],
    "run": ["run", *TRAINED, "--out", "runs"],
    "sweep": ["sweep", *TRAINED, "--out", "runs", "--budgets", "2,4", "--draws", "2", "--save", "saved/sweep"],
    "report": ["report", "runs", "--to", "report"],
    "compare": ["compare", "runs", "--save", "saved/table"],
    "demo": ["run", "--preset", "tiny", "--strategies", "random", *SET, "--data", "data", "--out", "demo"],
}
NEEDS_RUNS = ("sweep", "report", "compare")
ALONE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/shm && exec "$0" "$@"')
LEFT = re.compile(r"\.(tmp|claim|partial|checkpoint|damaged\d*)$|^\.(report|probe)|^jsma-|\.scratch|^\.half")
TIMED = re.compile(r"(_s|seconds|joules|^turn|rss_bytes)$")
NOT_COMPARED = (
    ".claims.lock",
    ".contents.json",
    "prepared.jsonl",
    "sweep.jsonl",
    "status.json",
    "environment.json",
    "weights.pt",
    "looks.npz",
)
"""Files that hold times or the machine, or whose container is not the same bytes twice."""


class Scene:
    """A folder with a user's slides and photos, and folders beside it in which commands work.

    alone: shared memory of our own, so that what is left in it can be told from that of others; only root may;
    token: in the environment of every process that is begun here, and of their children.
    """

    def __init__(self, folder: Path, slides: int = 14, alone: bool = os.getuid() == 0):
        self.folder, self.token, self.temporary = folder, uuid.uuid4().hex, folder / "temporary"
        self.alone = alone
        self.temporary.mkdir(parents=True)
        generator = np.random.default_rng(0)
        for kind, suffix in (("slides", "tif"), ("photos", "png")):
            (folder / "user" / kind).mkdir(parents=True)
            rows = ["path,label"]
            for i in range(slides):
                _picture(folder / "user" / kind / f"{i:02d}.{suffix}", generator, i % 2)
                rows.append(f"{i:02d}.{suffix},{'ab'[i % 2]}")
            (folder / "user" / kind / "labels.csv").write_text("\n".join(rows) + "\n")
        self.originals = self.checksums()
        begin = [*(ALONE if alone else ()), sys.executable, str(Path(__file__).with_name("begin.py"))]
        self._begun = subprocess.Popen(
            begin,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def close(self) -> None:
        """No more commands."""
        self._begun.communicate()

    def place(self, name: str, runs: Path | None = None) -> Path:
        """A new folder for commands to work in, with a copy of the folder `runs` of complete runs."""
        place = self.folder / name
        place.mkdir()
        if runs is not None:
            shutil.copytree(runs, place / "runs")
        return place

    def begin(self, name: str, place: Path, kill_at: int = 0) -> int:
        """Begin a command in the folder `place`: its process id."""
        environment = {"TMPDIR": str(self.temporary), "TOKEN": self.token}
        return self._ask(
            {
                "argv": COMMANDS[name],
                "cwd": str(place),
                "error": str(self.folder / "errors.txt"),
                "env": environment,
                "kill_at": kill_at,
            }
        )

    def wait(self, pid: int, seconds: float = 300) -> int | None:
        """Its exit code, negative for a signal; None where it runs on after so long."""
        return self._ask({"wait": pid, "seconds": seconds})

    def ended(self, name: str, place: Path) -> None:
        """Run a command to its end, which must be a good one."""
        code = self.wait(self.begin(name, place))
        assert code == 0, f"{name} in {place} ended with {code}: {self.said()}"

    def said(self, whole: bool = False) -> str:
        """What commands said on stderr, or the last of it."""
        path = self.folder / "errors.txt"
        said = path.read_text() if path.is_file() else ""
        return said if whole else said[-2000:]

    def checksums(self) -> dict[str, str]:
        """Of every file of the user."""
        return {str(p): _digest(p) for p in sorted((self.folder / "user").rglob("*")) if p.is_file()}

    def check(self, place: Path) -> None:
        """After the last complete command: nothing of the user's changed, nothing left over, no process, no memory."""
        assert self.checksums() == self.originals, "a file of the user changed"
        if orphans := self.orphans():
            raise AssertionError(f"still running: {orphans}")
        left = [str(p) for f in (place, self.temporary) for p in f.rglob("*") if LEFT.search(p.name)]
        assert not left, f"left over: {left}"
        memory = os.listdir(f"/proc/{self._begun.pid}/root/dev/shm") if self.alone else []
        assert not memory, f"shared memory is left: {memory}"

    def orphans(self, wait_s: float = 5.0) -> list[str]:
        """Command lines of processes begun here that are still alive after `wait_s`."""
        until = time.monotonic() + wait_s
        while (found := _with(self.token)) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._begun.stdin and self._begun.stdout
        self._begun.stdin.write(json.dumps(request) + "\n")
        self._begun.stdin.flush()
        return json.loads(self._begun.stdout.readline())


@contextmanager
def scene(keep: Path | None = None, alone: bool = os.getuid() == 0) -> Iterator[Scene]:
    """A scene in a folder of its own, which is removed unless `keep` names it."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        found = Scene(keep or Path(folder) / "scene", alone=alone)
        try:
            yield found
        finally:
            found.close()


@dataclass
class Undisturbed:
    """What a command makes in peace, how long it takes, and the complete runs that it began with."""

    made: dict[str, str]
    seconds: float
    runs: Path | None


def undisturbed(scene: Scene, names: Iterable[str]) -> dict[str, Undisturbed]:
    """Each command once; `run` before those that need runs."""
    found, runs = dict[str, Undisturbed](), None
    for name in names:
        needed = runs if name in NEEDS_RUNS else None
        place, start = scene.place(f"right-{name}", needed), time.monotonic()
        scene.ended(name, place)
        found[name] = Undisturbed(made(place), time.monotonic() - start, needed)
        runs = place / "runs" if name == "run" else runs
    return found


def killed(pid: int, number: signal.Signals, group: bool) -> None:
    """Send a signal to a process, or to all of its group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number) if group else os.kill(pid, number)


def made(place: Path) -> dict[str, str]:
    """What commands made in `place`, without seconds, joules and the order of turns: the same where all is well."""
    return {str(p.relative_to(place)): _content(p) for p in sorted(place.rglob("*")) if _counts(p)}


def difference(found: dict[str, str], right: dict[str, str]) -> list[str]:
    """Names of the files that are not the same."""
    return sorted(name for name in found.keys() | right.keys() if found.get(name) != right.get(name))


def _counts(path: Path) -> bool:
    return path.is_file() and path.name not in NOT_COMPARED


def _content(path: Path) -> str:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        return table[[c for c in table.columns if not TIMED.search(c)]].to_csv(index=False, float_format="%.17g")
    if path.name == "train.json":
        kept = json.loads(path.read_bytes())
        return json.dumps({k: v for k, v in kept.items() if k in ("counters", "candidate", "best_epoch", "dropped")})
    if path.parent.name == "saved" and path.name.startswith("sweep"):
        return path.suffix  # holds seconds
    return _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _with(token: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TOKEN") == token:
                found.append(" ".join(process.cmdline())[:200])
    return found


def _picture(path: Path, generator: np.random.Generator, kind: int) -> None:
    pixels = np.full((512, 640, 3), 240, np.uint8)
    pixels[64:448, 64:576] = (170, 90 + 40 * kind, 150)
    pixels[64:448, 64:576] += generator.integers(0, 40, (384, 512, 3)).astype(np.uint8)
    if path.suffix == ".tif":
        tifffile.imwrite(
            path, pixels, photometric="rgb", tile=(256, 256), resolution=(2e4, 2e4), resolutionunit="CENTIMETER"
        )
    else:
        Image.fromarray(pixels).save(path)
