"""The machine and the versions that a run was made with."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.runs.kept.code_digest import code_digest

PACKAGES = (
    "jsma-bench",
    "torch",
    "timm",
    "torchmil",
    "numpy",
    "opencv-python-headless",
    "simplejpeg",
    "tifffile",
    "imagecodecs",
    "openslide-python",
    "cucim-cu13",
    "cucim-cu12",
)
"""Whose version changes pixels (those of the demo's slides too: opencv draws them), features or seconds."""


def environment() -> dict[str, Any]:
    """Code, versions and hardware that results and timings belong to."""
    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "gpu": gpus(),
        "code": code_digest(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of PACKAGES, as far as they are installed."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@cache
def gpus() -> str:
    """Name and driver of every visible NVIDIA GPU, or "none"."""
    if shutil.which("nvidia-smi") is None:
        return "none"
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    ran = subprocess.run(query, capture_output=True, text=True)
    lines = [line.strip() for line in ran.stdout.splitlines() if line.strip()]
    return "; ".join(lines) if ran.returncode == 0 and lines else "none"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
