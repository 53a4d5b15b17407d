"""The baseline file: small JSON with counters, block times, ratios, and what machines' noise was found to be."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.checks.speed.gauge.clocks import CLOCKS
from bench.checks.speed.gauge.workload import Sizes
from bench.errors import NotComparableError, UsageError
from bench.files import write_text

FORMAT = 1


@dataclass(frozen=True)
class Baseline:
    """What `speed save` stores.

    machine, software: where it was made; commit, made: of which code and when; device, threads, workers: how; slides:
    digest of the slides; counters[operation][counter]; seconds[clock][operation]: one value a block;
    ratios[clock][name]: one a block; noise: [{machine, device, floors[clock][operation]}], one a calibrated machine.
    """

    machine: dict[str, str]
    software: dict[str, str]
    commit: str
    made: str
    device: str
    threads: int
    workers: int
    slides: str
    counters: dict[str, dict[str, int]]
    seconds: dict[str, dict[str, list[float]]]
    ratios: dict[str, dict[str, list[float]]]
    noise: list[dict[str, Any]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=lambda: asdict(Sizes()))
    format: int = FORMAT

    def floor(self, machine: dict[str, str], device: str, clock: str, operation: str) -> float:
        """The noise floor of an operation on `machine`; 0 where it was not calibrated."""
        for entry in self.noise:
            if (entry.get("machine"), entry.get("device")) == (machine, device):
                return float(entry.get("floors", {}).get(clock, {}).get(operation, 0.0))
        return 0.0


def load(path: Path) -> Baseline:
    """The stored baseline. UsageError where there is none, or a damaged one; NotComparableError for another format."""
    if path.exists() and not path.is_file():  # a FIFO is not opened: that would wait for ever
        raise _no_baseline(path, "no regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"no baseline at {path} ({error.strerror}); make one with `jsma-bench speed save --baseline {path}`, "
            "or compare two revisions with --against REV"
        ) from error
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:  # no text, no JSON, nested without end
        raise _no_baseline(path, str(error)) from error
    if not isinstance(found, dict) or "format" not in found:
        raise _no_baseline(path, "no JSON object with a format")
    if found["format"] != FORMAT:
        raise NotComparableError(f"{path}: format {found['format']}, this version reads {FORMAT}; save it anew")
    try:
        stored = TypeAdapter(Baseline).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise _no_baseline(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not all(clock in one for one in (stored.seconds, stored.ratios) for clock in CLOCKS):
        raise _no_baseline(path, f"seconds and ratios of {' and '.join(CLOCKS)} are not in it")
    return stored


def _no_baseline(path: Path, reason: str) -> UsageError:
    return UsageError(f"--baseline {path}: not a baseline ({reason}); restore it, or save a new one")


def known_noise(path: Path) -> list[dict[str, Any]]:
    """What the file at `path` knows of machines' noise; nothing where there is no file that can be read."""
    try:
        return load(path).noise
    except (UsageError, NotComparableError):
        return []


def check_free(path: Path) -> None:
    """UsageError where something is at `path` that is no baseline, of this version or an older one."""
    if path.exists():
        with suppress(OSError, ValueError):
            found = json.loads(path.read_bytes()) if path.is_file() else None
            if isinstance(found, dict) and "format" in found:
                return
        raise UsageError(f"--baseline {path}: is there and is no baseline, and is not overwritten; choose another file")


def save(baseline: Baseline, path: Path) -> None:
    """Write it whole or not at all, numbers with six digits. UsageError where it cannot be written."""
    text = json.dumps(_short(asdict(baseline)), indent=1, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"--baseline {path}: cannot be written ({error.strerror}); choose another place") from error


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
