"""Commands on a disk that fills up: one line and code 2 or 3; with more room the same command goes on to the end.

python tests/campaign/full_disk.py --times 20        (as root: it mounts small file systems in memory)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.campaign.common import Scene, Undisturbed, difference, made, scene, undisturbed  # noqa: E402

POINTS = {"run": 5, "demo": 3, "prepare": 4, "report": 3, "compare": 2, "sweep": 3}  # of 20
FOLDERS = {
    "run": "runs",
    "demo": "data",
    "prepare": "prepared",
    "report": "report",
    "compare": "saved",
    "sweep": "saved",
}


def mounted(folder: Path, size_kib: int, more: bool = False) -> None:
    """A file system in memory of so many KiB at `folder`; more: the one that is there."""
    options = f"{'remount,' if more else ''}size={size_kib}k"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


def used_kib(folder: Path) -> int:
    """What the files in `folder` take, in pages of 4 KiB."""
    return 4 * sum(-(-p.stat().st_size // 4096) for p in folder.rglob("*") if p.is_file())


def fill(scene: Scene, name: str, place: Path, size_kib: int, right: Undisturbed) -> str:
    """One point: the command on a disk of that size, then once more with room. What it said first."""
    folder, before = place / FOLDERS[name], len(scene.said(whole=True))
    mounted(folder, size_kib)
    code, said = scene.wait(scene.begin(name, place)), ""
    said = scene.said(whole=True)[before:]
    lines = [line for line in said.splitlines() if line.startswith("error:") or "failed:" in line]
    assert code in (2, 3), f"ended with {code} on {size_kib} KiB: {said[-2000:]}"
    assert "Traceback" not in said, said[-3000:]
    assert len(lines) == 1, f"not one line: {lines}"
    mounted(folder, 1 << 20, more=True)
    scene.ended(name, place)
    scene.check(place)
    assert not (other := difference(made(place), right.made)), f"not as undisturbed: {other}"
    return lines[0]


def campaign(times: int, scene: Scene) -> tuple[Counter[str], list[str], list[str]]:
    """So many points, shared out among the commands: their numbers, what was said, and what went wrong."""
    right, done, lines, faults = undisturbed(scene, POINTS), Counter[str](), list[str](), list[str]()
    for name, share in POINTS.items():
        points = max(1, round(times * share / 20))
        need_kib = used_kib(scene.folder / f"right-{name}" / FOLDERS[name])
        for i in range(points):
            place = scene.place(f"{name}-{i}", right[name].runs)
            size_kib = max(4, round(need_kib * (0.02 + 0.75 * i / max(1, points - 1)) / 4) * 4)
            with ExitStack() as after:
                after.callback(subprocess.run, ["umount", "-l", str(place / FOLDERS[name])], capture_output=True)
                try:
                    lines.append(fill(scene, name, place, size_kib, right[name]))
                except AssertionError as error:
                    faults.append(f"{place.name}, {size_kib} of {need_kib} KiB: {error}")
                    print(faults[-1], flush=True)
            done[name] += 1
    return done, lines, faults


def test_a_point_of_each():
    try:
        with scene(alone=False) as own:
            assert not campaign(6, own)[2]
    except subprocess.CalledProcessError:
        pytest.skip("may not mount a file system")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="A new folder for what is made; else it is removed.")
    asked = parser.parse_args()
    began = time.monotonic()
    with scene(asked.keep, alone=False) as here:
        told, said, wrong = campaign(asked.times, here)
    print("\n".join(said))
    print(f"{dict(told)}: {sum(told.values())} points, faults: {len(wrong)}, {time.monotonic() - began:.0f} s")
    raise SystemExit(bool(wrong))
