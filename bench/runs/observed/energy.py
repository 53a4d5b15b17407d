"""Energy from the machine's own counters: RAPL of the processor, NVML of the GPU. Nothing is estimated.

RAPL counts what the whole package used, other programs included, and wraps around. NVML counts the whole GPU, in
millijoules, and is brought up to date some ten times a second: short spans are known as coarsely as that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """One counter. read: joules so far; wrap_j: where it starts again from 0, None where it does not."""

    source: str
    read: Callable[[], float]
    wrap_j: float | None = None


def rapl_counters(root: Path = POWERCAP) -> list[Counter]:
    """A counter for each package (`intel-rapl:N`); domains inside a package are part of it. Unreadable ones are not."""
    counters = []
    for folder in sorted(root.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            wrap_j = int((folder / "max_energy_range_uj").read_text()) / 1e6
            _microjoules(folder / "energy_uj")
        except (OSError, ValueError):
            continue
        if name.startswith("package"):
            read = lambda path=folder / "energy_uj": _microjoules(path)  # noqa: E731 - bound to its own file
            counters.append(Counter(f"RAPL {name}", read, wrap_j))
    return counters


def _microjoules(path: Path) -> float:
    return int(path.read_text()) / 1e6


def nvml_counters(device: str, load: Callable[[str], Any] = import_module) -> list[Counter]:
    """The counter of the GPU that `device` (cuda, cuda:N) names, where pynvml is installed and the GPU has one."""
    if not device.startswith("cuda"):
        return []
    try:
        nvml = load("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # pynvml absent, or any of its own errors: there is no counter here
        return []
    return [Counter("NVML", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3)]


@cache
def meter_of(device: str) -> EnergyMeter:
    """The machine's meter for work on `device`, opened once."""
    return EnergyMeter(device)


class EnergyMeter:
    """Joules between `start` and `stop` of all counters that are readable for work on `device`."""

    def __init__(self, device: str = "cpu", root: Path = POWERCAP, load: Callable[[str], Any] = import_module):
        self.counters = [*rapl_counters(root), *nvml_counters(device, load)]
        self.reason: str | None = None
        if device.startswith("cuda") and not any(c.source == "NVML" for c in self.counters):
            self.reason = "no NVML counter of the GPU (pynvml is not installed, or the GPU has none)"
        elif not self.counters:
            self.reason = "no readable RAPL counter"
        self._before: list[float] | None = None

    @property
    def source(self) -> str | None:
        """The counters that are summed; None where energy is not measurable."""
        return None if self.reason else " + ".join(counter.source for counter in self.counters)

    def start(self) -> None:
        """Read the counters."""
        self._before = None if self.reason else self._now()

    def stop(self) -> float | None:
        """Joules since `start`; None where not measurable. A counter that wrapped around did so once."""
        after = self._now() if self._before is not None else None
        if self._before is None or after is None:
            return None
        total = 0.0
        for counter, before, now in zip(self.counters, self._before, after, strict=True):
            if now < before and counter.wrap_j is None:
                return None
            total += now - before + (counter.wrap_j or 0.0 if now < before else 0.0)
        return total

    def _now(self) -> list[float] | None:
        try:
            return [counter.read() for counter in self.counters]
        except Exception as error:  # a counter that fails once is not trusted again
            self.reason = f"a counter failed ({type(error).__name__})"
            return None

    def record(self, joules: float | None, reason: str | None = None) -> dict[str, Any]:
        """What a run keeps: joules, their source, and the reason where they are null (its own, or `reason`)."""
        if joules is not None and reason is None:
            return {"joules": joules, "source": self.source, "reason": None}
        return {"joules": None, "source": None, "reason": self.reason or reason or "not measured"}

    @property
    def described(self) -> dict[str, str | None]:
        """What a prediction's joules come from, or why there are none."""
        return {"source": self.source, "reason": self.reason}
