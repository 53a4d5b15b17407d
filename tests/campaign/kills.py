"""Commands are killed at random moments, begun again until they end, and must come to what an undisturbed one does.

    python tests/campaign/kills.py --times 50 --seed 0

Nine of ten are SIGKILL, to the whole process group or (a third) to the first process alone; the others SIGINT. Half
strike at a random time, half just before a random change of a file: these find what a clock seldom meets.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.campaign.common import Scene, Undisturbed, difference, killed, made, scene, undisturbed  # noqa: E402

SHARES = {"run": 9, "prepare": 5, "sweep": 3, "report": 3}  # of 20 kills
IN_A_ROW = 4  # then the command may end


@dataclass
class Tally:
    """What was done and what went wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def kill(scene: Scene, name: str, place: Path, right: Undisturbed, chance: random.Random) -> str | None:
    """One kill of a command: in words; None where it had ended before."""
    at = chance.randint(1, 60) if chance.random() < 0.5 else 0
    pid, start = scene.begin(name, place, at), time.monotonic()
    code = scene.wait(pid, right.seconds * (3 if at else chance.uniform(0.1, 1)))
    if code is None:
        number = signal.SIGINT if chance.random() < 0.1 else signal.SIGKILL
        group = chance.random() < 0.67
        killed(pid, number, group)
        code = scene.wait(pid)
        if code is not None and code >= 0 and code != 130:
            right.seconds = min(right.seconds, time.monotonic() - start)
            return None  # it was faster than the signal
        return f"{number.name} {'of all' if group else 'of the first'}"
    assert code in (0, -signal.SIGKILL), f"{name} ended with {code}: {scene.said()}"
    right.seconds = right.seconds if code else min(right.seconds, time.monotonic() - start)
    return "SIGKILL at a change of a file" if code else None


def campaign(times: int, seed: int, scene: Scene) -> Tally:
    """So many kills, shared out among the commands."""
    chance, tally, right = random.Random(seed), Tally(), undisturbed(scene, SHARES)
    turns = [name for name, share in SHARES.items() for _ in range(max(1, round(times * share / 20)))]
    number = 0
    while turns:
        name, number = turns[0], number + 1
        place = scene.place(f"{number:03d}-{name}", right[name].runs)
        done: list[str] = []
        while turns and turns[0] == name and len(done) < IN_A_ROW:
            if (what := kill(scene, name, place, right[name], chance)) is None:
                break
            done.append(turns.pop(0) and what)
        tally.kills.update(f"{name}: {what}" for what in done)
        try:
            scene.ended(name, place)
            scene.check(place)
            assert not (other := difference(made(place), right[name].made)), f"not as undisturbed: {other}"
            tally.completed[name] += 1
        except AssertionError as error:
            tally.faults.append(f"{place.name} after {done}: {error}")
            print(tally.faults[-1], flush=True)
    return tally


def test_a_few_kills():
    with scene() as own:
        assert not campaign(8, 1, own).faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="A new folder for what is made; else it is removed.")
    asked = parser.parse_args()
    began = time.monotonic()
    with scene(asked.keep) as here:
        told = campaign(asked.times, asked.seed, here)
    for what, count in sorted(told.kills.items()):
        print(f"{count:4d} {what}")
    print(
        f"{sum(told.kills.values())} kills, commands ended and compared: {dict(told.completed)}, faults: "
        f"{len(told.faults)}, {time.monotonic() - began:.0f} s"
    )
    raise SystemExit(bool(told.faults))
