"""The baseline file: small JSON with counters, block times, ratios, and what machines' noise was found to be."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
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

    Attributes:
        machine: fingerprint of the machine that it was made on.
        software: versions of the packages that times depend on.
        commit: the code that was measured, with "-dirty" where it had changes.
        made: when, as an ISO time.
        device: torch device.
        threads: threads of torch.
        workers: decoding threads.
        slides: digest of the slides.
        counters: exact integers by operation and name.
        seconds: by clock and operation, one value a block.
        ratios: by clock and name of RATIOS, one value a block.
        noise: {machine, device, floors by clock and operation}, one entry a calibrated machine.
        sizes: of the work, as in `Sizes`.
        format: of the file.
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

    def floors(self, machine: dict[str, str], device: str, clock: str) -> dict[str, float]:
        """The noise floor of each operation on `machine`; empty where it was not calibrated."""
        for entry in self.noise:
            if (entry.get("machine"), entry.get("device")) == (machine, device):
                return entry.get("floors", {}).get(clock, {})
        return {}

    def with_floors(self, machine: dict[str, str], device: str, floors: dict[str, dict[str, float]]) -> Baseline:
        """This baseline with other noise floors (by clock and operation) of one machine and device."""
        others = [n for n in self.noise if (n.get("machine"), n.get("device")) != (machine, device)]
        return replace(self, noise=[*others, {"machine": machine, "device": device, "floors": floors}])


def load_baseline(path: Path) -> Baseline:
    """The stored baseline.

    Raises:
        UsageError: there is none, or a damaged one.
        NotComparableError: it has the format of another version.
    """
    if path.exists() and not path.is_file():  # a FIFO is not opened: that would wait for ever
        raise _no_baseline(path, "no regular file")
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or "format" not in found:
            raise ValueError("no JSON object with a format")
        if found["format"] == FORMAT:
            stored = TypeAdapter(Baseline).validate_python(found)
            if not all(clock in one for one in (stored.seconds, stored.ratios) for clock in CLOCKS):
                raise ValueError(f"seconds and ratios of {' and '.join(CLOCKS)} are not in it")
            return stored
    except OSError as error:
        raise UsageError(
            f"no baseline at {path} ({error.strerror}); make one with `jsma-bench speed save --baseline {path}`, "
            "or compare two revisions with --against REV"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _no_baseline(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:  # no text, no JSON, nested without end
        raise _no_baseline(path, str(error)) from error
    raise NotComparableError(f"{path}: format {found['format']}, this version reads {FORMAT}; save it anew")


def _no_baseline(path: Path, reason: str) -> UsageError:
    return UsageError(f"--baseline {path}: not a baseline ({reason}); restore it, or save a new one")


def known_noise(path: Path) -> list[dict[str, Any]]:
    """What the file at `path` knows of machines' noise; nothing where there is no file that can be read."""
    with suppress(UsageError, NotComparableError):
        return load_baseline(path).noise
    return []


def check_free(path: Path) -> None:
    """UsageError where something is at `path` that is no baseline, of this version or an older one."""
    if path.exists():
        with suppress(OSError, ValueError):
            found = json.loads(path.read_bytes()) if path.is_file() else None
            if isinstance(found, dict) and "format" in found:
                return
        raise UsageError(f"--baseline {path}: is there and is no baseline, and is not overwritten; choose another file")


def save_baseline(baseline: Baseline, path: Path) -> None:
    """Write it whole or not at all, numbers with six digits.

    Raises:
        UsageError: it cannot be written.
    """
    rounded = json.loads(json.dumps(asdict(baseline)), parse_float=lambda text: float(f"{float(text):.6g}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(rounded, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise UsageError(f"--baseline {path}: cannot be written ({error.strerror}); choose another place") from error
