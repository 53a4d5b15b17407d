"""What `bench.probe` found, read back for tables: no model is run here, so that nothing that prints loads torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.tables import span

FILE = "probe.json"
"""Beside the run directories whose encoder it is about."""


def markdown(found: dict[str, Any]) -> str:
    """The rows as a Markdown table, finest magnification first."""
    lines = ["| um/px | accuracy | 95 % interval | test slides |", "| --- | --- | --- | --- |"]
    for row in found["rows"]:
        known = row["accuracy"] is not None
        shown = f"{row['accuracy']:.3f} | {span(row['accuracy_low'], row['accuracy_high'])}" if known else "- | -"
        lines.append(f"| {row['mpp']:g} | {shown} | {row['n']} |")
    return "\n".join(lines)


def probe_of(folders: Sequence[Path], data_hashes: set[str]) -> dict[str, Any] | None:
    """The probe kept in one of the folders for one of these data; None where there is none."""
    for folder in folders:
        if (folder / FILE).is_file():
            found = json.loads((folder / FILE).read_text())
            if found["data_hash"] in data_hashes:
                return found
    return None
