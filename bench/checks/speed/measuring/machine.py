"""The machine's fingerprint: absolute times are compared only where it is equal."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import psutil

from bench.runs.kept.environment import environment, gpus, versions


def fingerprint(folder: Path) -> dict[str, str]:
    """CPU model, cores this process may use, GPU with driver, and the storage that holds `folder`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": str(environment()["cpu"]),
        "cores": str(cores),
        "gpu": gpus(),
        "storage": _storage(folder),
        "system": f"{platform.system()} {platform.machine()}",
    }


def software() -> dict[str, str]:
    """Versions that timings also depend on. They are stored for people, and are no reason to refuse a comparison."""
    return {"python": platform.python_version(), **versions()}


def _storage(folder: Path) -> str:
    """File system and, where Linux tells, model and kind of the disk below it."""
    folder = folder.resolve()
    mounts = [p for p in psutil.disk_partitions(all=True) if folder.is_relative_to(p.mountpoint)]
    kind = max(mounts, key=lambda p: len(p.mountpoint)).fstype if mounts else "unknown"
    if not sys.platform.startswith("linux"):
        return kind
    device = folder.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    block = block if (block / "queue").is_dir() else block.parent
    model, spins = block / "device/model", block / "queue/rotational"
    parts = [kind, model.read_text().strip() if model.is_file() else ""]
    if spins.is_file():
        parts.append("disk" if spins.read_text().strip() == "1" else "solid state")
    return " ".join(part for part in parts if part)
