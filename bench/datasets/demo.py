"""The embedded demo: generated whole slides with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.datasets.contract import Dataset
from bench.datasets.labelled import load as load_csv
from bench.demo import DemoSettings, generate
from bench.errors import UsageError
from bench.settings import Preset

CLASSES = {"both": ("normal", "benign", "in_situ", "invasive")}


def load(preset: Preset, folder: Path, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Generate what is missing of the preset's slides under `folder`, and load them."""
    try:
        settings = DemoSettings(
            slides=preset.slides,
            side0_px=preset.side0_px,
            hint=preset.hint,
            evidence_share=preset.evidence_share,
            variant=preset.variant,
            seed=preset.seed,
        )
        made = generate(
            settings,
            folder / f"demo-{preset.slides}x{preset.side0_px}-h{preset.hint}"
            f"-e{preset.evidence_share}-{preset.variant}-{preset.seed}",
            progress=progress,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    loaded = load_csv(made / "labels.csv")
    order = CLASSES.get(preset.variant, loaded.classes)
    return Dataset("demo", tuple(c for c in order if c in loaded.classes), loaded.records)
