"""Run directories: named by the hash of what decides the result, written aside and renamed when complete."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from bench.code import code_digest
from bench.energy import meter_of
from bench.errors import UsageError

PACKAGES = ("jsma-bench", "torch", "timm", "torchmil", "numpy", "opencv-python-headless", "simplejpeg", "tifffile",
            "imagecodecs", "openslide-python", "cucim-cu13", "cucim-cu12")  # fmt: skip
"""Whose version changes pixels (those of the demo's slides too: opencv draws them), features or seconds."""


@dataclass(frozen=True)
class RunKey:
    """Identity of a run. settings: everything else that decides the result, as plain data; code: of a strategy
    that is not in the registry."""

    dataset: str
    data_hash: str
    strategy: str
    fold: int
    seed: int
    settings: dict[str, Any]
    code: str = ""

    @property
    def name(self) -> str:
        """Directory name: readable, then a content hash."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.dataset}-{self.strategy}-f{self.fold}-s{self.seed}-{digest}"


class RunDirectory:
    """One run on disk: `<out>/<name>` when complete, `<out>/<name>.partial` before."""

    def __init__(self, out: Path, key: RunKey):
        self.key, self.final, self.partial = key, out / key.name, out / f"{key.name}.partial"

    @property
    def complete(self) -> bool:
        """Whether the run has finished."""
        return (self.final / "status.json").is_file()

    def start(self) -> Path:
        """The partial folder, made if need be."""
        self.partial.mkdir(parents=True, exist_ok=True)
        return self.partial

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` to the partial folder, whole or not at all."""
        path = self.start() / name
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, default=str))
        os.replace(temporary, path)

    def read_json(self, name: str) -> dict[str, Any]:
        """What `write_json` wrote to the partial folder."""
        return json.loads((self.partial / name).read_bytes())

    def write_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write rows as Parquet to the partial folder."""
        pd.DataFrame(rows).to_parquet(self.start() / name, index=False)

    def finish(self, status: dict[str, Any]) -> None:
        """Mark complete and rename."""
        self.write_json("settings.json", asdict(self.key))
        energy = meter_of(str(self.key.settings.get("device", "cpu"))).described
        self.write_json("environment.json", {**environment(), "energy": energy})
        self.write_json("status.json", status)
        if self.final.exists():
            shutil.rmtree(self.final)
        os.replace(self.partial, self.final)


def writable(out: Path, option: str = "--out") -> Path:
    """`out`, made if need be; UsageError that names `option` where it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{option} {out}: cannot be written ({error.strerror}); choose another folder") from error
    return out


def named(stem: Path, suffix: str) -> Path:
    """`stem` with `suffix` behind its name, which may hold dots of its own (`results/v1.2`)."""
    return stem.with_name(stem.name + suffix)


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
