"""Committed lists of ids: public splits, known patients and known bad cases, one JSON file a dataset."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache
def read_committed(name: str) -> dict[str, Any]:
    """Read `splits/<name>.json`."""
    return json.loads((Path(__file__).parent / "splits" / f"{name}.json").read_text())
