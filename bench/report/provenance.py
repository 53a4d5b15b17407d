"""Where results come from: the record beside them, and in a picture the digest of the table that it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.runs.kept.finished import FinishedRun
from bench.runs.layout import Kind, Provenance

KEY = "Source"  # one of the PNG standard's own keywords


def make_stamp(table: Path) -> dict[str, str]:
    """Metadata for `savefig` of a picture drawn from the CSV file `table`."""
    return {KEY: f"{table.name} sha256 {hashlib.sha256(table.read_bytes()).hexdigest()[:16]}"}


def is_fresh(png: Path) -> bool:
    """Whether `png` was drawn from the CSV beside it as that is now."""
    from PIL import Image

    with Image.open(png) as image:
        return image.info.get(KEY) == make_stamp(png.with_suffix(".csv"))[KEY]


def collect_provenance(kind: Kind, runs: Sequence[FinishedRun], command: str, **details: Any) -> Provenance:
    """What numbers belong to.

    Args:
        kind: What is written.
        runs: All runs that were read.
        command: What made it.
        details: What else the record says.

    Returns:
        The record, with each environment and each data hash once.
    """
    environments = {json.dumps(run.environment, sort_keys=True) for run in runs}
    settings = {json.dumps(run.settings, sort_keys=True) for run in runs}
    return Provenance(
        kind=kind,
        command=command,
        data_hashes=sorted({run.data_hash for run in runs}),
        environments=[json.loads(text) for text in sorted(environments)],
        settings=[json.loads(text) for text in sorted(settings)],
        runs=sorted(run.path.name for run in runs),
        details=details,
    )
