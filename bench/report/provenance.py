"""A picture says which table it shows: the digest of the CSV beside it, in the PNG's own text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bench.runs.kept.finished import FinishedRun

KEY = "Source"  # one of the PNG standard's own keywords


def make_stamp(table: Path) -> dict[str, str]:
    """Metadata for `savefig` of a picture drawn from the CSV file `table`."""
    return {KEY: f"{table.name} sha256 {hashlib.sha256(table.read_bytes()).hexdigest()[:16]}"}


def is_fresh(png: Path) -> bool:
    """Whether `png` was drawn from the CSV beside it as that is now."""
    from PIL import Image

    with Image.open(png) as image:
        return image.info.get(KEY) == make_stamp(png.with_suffix(".csv"))[KEY]


def collect_provenance(runs: list[FinishedRun], command: str) -> dict[str, Any]:
    """What the numbers belong to: command, settings, environments (each once), data hashes, run folders."""
    environments = {json.dumps(run.environment, sort_keys=True) for run in runs}
    settings = {json.dumps(run.settings, sort_keys=True) for run in runs}
    return {
        "command": command,
        "data_hashes": sorted({run.data_hash for run in runs}),
        "environments": [json.loads(text) for text in sorted(environments)],
        "settings": [json.loads(text) for text in sorted(settings)],
        "runs": sorted(run.path.name for run in runs),
    }
