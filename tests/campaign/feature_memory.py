"""Peak memory of training exhaustive-all over ever more slides, with features in a folder and in memory.

    python tests/campaign/feature_memory.py --slides 50,200,800 --folder /tmp/features

Features are made up, so that no time goes into encoding; all else is a real training. A line for each number of slides
and each place: peak resident memory, what the features take on disk, and room for 1,000 patches.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DIM, SIDE_PX, PATCH_PX = 512, 1024, 32


def train_once(n_slides, where):
    """Train two epochs on `n_slides` slides of some 2,000 patches; where: a folder, or "memory"."""
    import numpy as np
    import torch

    from baselines.contract import StrategySettings
    from baselines.exhaustive import ExhaustiveAll
    from bench.runs.features.disk_store import DiskStore, Shelf
    from bench.runs.settings.settings import TrainSettings
    from bench.runs.train import Labelled, Schedule, train
    from jsma import JSMASettings
    from jsma.encoders.settings import EncoderSettings
    from jsma.meter import Meter
    from jsma.metered import Desk, FeatureStore, MeteredSlide, ViewSettings
    from jsma.slides import ArraySlide

    class MadeUp(torch.nn.Module):
        """Stands for a frozen encoder; its features are put into the store and never computed."""

        dim, settings = DIM, EncoderSettings(precision="float16")

        def forward(self, patches):
            return torch.zeros(len(patches), DIM)

    view = ViewSettings(mpps=(1.0, 2.0), patch_px=PATCH_PX, overview_mpp=16.0)
    names = [f"s{n}" for n in range(n_slides)]
    # one open slide stands for all: an array in each would be what grows
    opened = ArraySlide(np.full((SIDE_PX, SIDE_PX, 3), (150, 40, 90), np.uint8), 1.0)
    shelf = None if where == "memory" else Shelf(Path(where), {name: name for name in names}, {"cpu": "one"})
    store = FeatureStore(DIM, None, "float16") if shelf is None else DiskStore(DIM, shelf, "float16")
    desk = Desk(Meter(), MadeUp(), view, store)
    random = np.random.default_rng(0)
    items = []
    for n, name in enumerate(names):
        slide = MeteredSlide(name, lambda: opened, desk)
        cells = np.arange(slide.view.grid.n_cells)
        features = random.standard_normal((len(cells), DIM)).astype(np.float32) / DIM**0.5 + 0.1 * (n % 2)
        store.put(slide._key, len(cells) + 1, cells, features)
        items.append(Labelled(slide, n % 2))
    store.flush()
    method = JSMASettings(mpps=view.mpps)
    strategy = StrategySettings(method=method)
    cut = max(4, n_slides // 5)
    parts = {"train": items[cut:], "val": items[:cut]}
    settings = TrainSettings(epochs=2)
    train(lambda own, meter: ExhaustiveAll(own, DIM, 2, meter), [strategy], parts, desk, Schedule(settings))
    size = 0 if shelf is None else sum(path.stat().st_size for path in Path(where).rglob("*.safetensors"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    patches = n_slides * items[0].slide.view.grid.n_cells
    print(f"{n_slides} slides, {patches} patches, features in {'memory' if shelf is None else 'a folder'}: ", end="")
    room = f"on disk {size / 1e6:.0f} MB, {size / patches:.0f} kB for 1,000 patches"
    print(f"peak {peak / 1e6:.0f} MB; {room}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", default="50,200,800")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/jsma-feature-memory"))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        train_once(int(asked.one[0]), asked.one[1])
        sys.exit()
    for number in map(int, asked.slides.split(",")):
        for where in (asked.folder / str(number), "memory"):
            command = [sys.executable, __file__, "--one", str(number), str(where)]
            subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        shutil.rmtree(asked.folder / str(number))
