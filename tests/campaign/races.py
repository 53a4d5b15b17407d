"""Two or three identical commands begun at once: all end well, and what they make is what one alone makes.

python tests/campaign/races.py --times 20
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.campaign.common import Scene, difference, made, scene, undisturbed  # noqa: E402

TURNS = ("run", "prepare", "report", "demo", "sweep", "compare")


def race(scene: Scene, name: str, place: Path, number: int) -> None:
    """So many of the command at once."""
    running = [scene.begin(name, place) for _ in range(number)]
    codes = [scene.wait(pid) for pid in running]
    assert codes == [0] * number, f"ended with {codes}: {scene.said()}"


def campaign(times: int, scene: Scene) -> tuple[Counter[str], list[str]]:
    """So many races of all commands in turn: their numbers, and what went wrong."""
    right, done, faults = undisturbed(scene, TURNS), Counter[str](), list[str]()
    for i in range(times):
        name, number = TURNS[i % len(TURNS)], 2 + i % 2
        place = scene.place(f"{i:03d}-{name}", right[name].runs)
        try:
            race(scene, name, place, number)
            scene.check(place)
            assert not (other := difference(made(place), right[name].made)), f"not as one alone: {other}"
        except AssertionError as error:
            faults.append(f"{place.name}, {number} at once: {error}")
            print(faults[-1], flush=True)
        done[f"{number} x {name}"] += 1
    return done, faults


def test_two_of_each():
    with scene() as own:
        assert not campaign(len(TURNS), own)[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="A new folder for what is made; else it is removed.")
    asked = parser.parse_args()
    began = time.monotonic()
    with scene(asked.keep) as here:
        told, wrong = campaign(asked.times, here)
    for what, count in sorted(told.items()):
        print(f"{count:4d} {what}")
    print(f"{sum(told.values())} races, faults: {len(wrong)}, {time.monotonic() - began:.0f} s")
    raise SystemExit(bool(wrong))
