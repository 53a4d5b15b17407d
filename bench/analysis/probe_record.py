"""What `bench.studies.linear_probe` found, read back for tables.

No model is run here, so that nothing that prints loads torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = "probe.json"
"""Beside the run directories whose encoder it is about."""


def load_probe(folders: Sequence[Path], data_hashes: set[str]) -> dict[str, Any] | None:
    """The probe kept in one of the folders for one of these data; None where there is none."""
    for folder in folders:
        if (folder / FILE).is_file():
            found = json.loads((folder / FILE).read_text())
            if found["data_hash"] in data_hashes:
                return found
    return None
