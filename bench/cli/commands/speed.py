"""`jsma-bench speed ...`: it parses and prints, nothing else."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import UsageError
from bench.files import write_text
from bench.progress import Bars

speed_app = typer.Typer(no_args_is_help=True, help="The throughput gate: counters, ratios and times that must hold.")
File = Annotated[Path, typer.Option("--baseline", help="The baseline file.")]
Data = Annotated[Path, typer.Option(help="Folder where the generated slides are kept.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Blocks = Annotated[int, typer.Option(min=3, help="Fresh processes a side; each measures every operation.")]
Counts = Annotated[int, typer.Option(min=3, help="Samples of an operation in each block.")]
Workers = Annotated[int, typer.Option(min=1, help="Decoding threads; torch has as many.")]
DEFAULT, DATA, SAVED_BLOCKS = Path("results/baseline.json"), Path("data"), 8


@speed_app.command()
def save(
    baseline: File = DEFAULT,
    data: Data = DATA,
    device: Device = "cpu",
    blocks: Blocks = SAVED_BLOCKS,
    samples: Counts = 12,
    workers: Workers = 1,
) -> None:
    """Measure this working tree and store it; what calibrations found of machines' noise is kept."""
    from bench.checks.speed.against_baseline import take
    from bench.checks.speed.baseline_file import check_free, known_noise
    from bench.checks.speed.baseline_file import save as store

    check_free(baseline)
    with _bars() as bars:
        taken, _ = take(_conditions(data, device, (blocks, samples, workers), "cpu", bars), known_noise(baseline))
    store(taken, baseline)
    counters = sum(len(own) for own in taken.counters.values())
    print(f"{baseline}: {counters} counters, {len(taken.seconds['cpu'])} operations, commit {taken.commit}")


@speed_app.command()
def calibrate(
    baseline: File = DEFAULT,
    data: Data = DATA,
    device: Device = "cpu",
    blocks: Blocks = 16,
    samples: Counts = 12,
    workers: Workers = 1,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure this working tree against itself; the noise floor of this machine goes into the baseline file."""
    from dataclasses import replace

    from bench.checks.speed.against_revision import calibrate as measured
    from bench.checks.speed.baseline_file import load
    from bench.checks.speed.baseline_file import save as store
    from bench.checks.speed.conditions import SOLO
    from bench.checks.speed.measuring.machine import fingerprint

    with _bars() as bars:
        stored = load(baseline)
        how = _conditions(data, device, (blocks, samples, workers), "cpu", bars)
        floors = measured(SOLO, how)
    machine = fingerprint(how.rig.slides)
    others = [n for n in stored.noise if (n.get("machine"), n.get("device")) != (machine, device)]
    store(replace(stored, noise=[*others, {"machine": machine, "device": device, "floors": floors}]), baseline)
    if as_json:
        print(json.dumps(floors, indent=1))
        return
    for operation in floors["cpu"]:
        print(f"{operation:18} +-{floors['cpu'][operation]:6.1%} cpu   +-{floors['wall'][operation]:6.1%} wall")


@speed_app.command()
def check(
    baseline: File = DEFAULT,
    against: Annotated[str | None, typer.Option(help="A revision, measured beside this one.")] = None,
    tiers: Annotated[str | None, typer.Option(help="counters,ratios,absolute; default: all that compare here.")] = None,
    operations: Annotated[str | None, typer.Option(help="With --against: only these, comma-separated.")] = None,
    clock: Annotated[str, typer.Option(help="cpu (seconds burned) or wall; it decides.")] = "cpu",
    tolerance: Annotated[float | None, typer.Option(min=0, help="0.05 = 5 % slower; default by tier.")] = None,
    data: Data = DATA,
    device: Device = "cpu",
    blocks: Blocks = 5,
    samples: Counts = 12,
    workers: Workers = 1,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    export_pytest_benchmark: Annotated[Path | None, typer.Option(help="Write pytest-benchmark's JSON here.")] = None,
    export_github: Annotated[Path | None, typer.Option(help="Write github-action-benchmark's JSON here.")] = None,
) -> None:
    """Has it become slower? Exit code 0 no, 1 yes, 3 something was not measured, 4 not comparable."""
    from bench.checks.speed.verdict.findings import exit_code
    from bench.checks.speed.verdict.show import as_data, lines

    asked = _tiers(tiers, against)
    names = _operations(operations, against)
    with _bars() as bars:
        how = _conditions(data, device, (blocks, samples, workers), clock, bars, tolerance)
        checked = _checked(baseline, against, asked, names, how)
    _export(checked, clock, how.rig.slides, export_pytest_benchmark, export_github)
    if as_json:
        print(json.dumps(as_data(checked.findings, against=against, clock=clock), indent=1))
    else:
        print("\n".join(lines(checked.findings)))
    raise typer.Exit(exit_code(checked.findings))


def _checked(baseline: Path, against: str | None, tiers: list[str] | None, names: list[str], how: Any) -> Any:
    from bench.checks.speed.against_baseline import check_stored
    from bench.checks.speed.against_revision import check_against
    from bench.checks.speed.baseline_file import load
    from bench.checks.speed.measuring.machine import fingerprint

    if against is None:
        return check_stored(load(baseline), tiers, how)
    if tiers is not None:
        return check_against(against, names, how, None)
    stored, machine = load(baseline) if baseline.is_file() else None, fingerprint(how.rig.slides)

    def floor(name: str) -> float:
        return stored.floor(machine, how.rig.device, how.clock, name) if stored is not None else 0.0

    return check_against(against, names, how, floor)


def _tiers(text: str | None, against: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if against is not None and names != ["counters"]:
        raise UsageError(f"--tiers {text}: with --against only `--tiers counters` (nothing is timed), or leave it out")
    if not names or set(names) - {"counters", "ratios", "absolute"}:
        raise UsageError(f"--tiers {text}; allowed: counters, ratios, absolute, comma-separated")
    return names


def _operations(text: str | None, against: str | None) -> list[str]:
    from bench.checks.speed.conditions import SOLO
    from bench.checks.speed.gauge.operations import OPERATIONS

    if text is None:
        return list(SOLO)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if against is None:
        raise UsageError("--operations: only with --against; the stored baseline is compared whole")
    if not names or set(names) - OPERATIONS.keys():
        raise UsageError(f"--operations {text}; allowed: {', '.join(OPERATIONS)}")
    return names


def _conditions(
    data: Path, device: str, amounts: tuple[int, int, int], clock: str, bars: Bars, tolerance: float | None = None
) -> Any:
    from bench.checks.speed.conditions import Conditions, Limits
    from bench.checks.speed.gauge.clocks import CLOCKS
    from bench.checks.speed.measuring.measure import Amount
    from bench.checks.speed.measuring.process import Rig
    from bench.checks.speed.measuring.slides import gate_slides
    from bench.files import writable
    from bench.runs.plan import device_named

    if clock not in CLOCKS:
        raise UsageError(f"--clock {clock}; allowed: {', '.join(CLOCKS)}")
    blocks, samples, workers = amounts
    limits = Limits() if tolerance is None else Limits(tolerance, tolerance, tolerance, tolerance)
    rig = Rig(gate_slides(writable(data, "--data")), device_named(device), workers, workers)
    return Conditions(rig, Amount(blocks, samples), clock, limits, bars)


@contextmanager
def _bars() -> Iterator[Bars]:
    """Progress; SIGTERM, which CI services send, ends a check as Ctrl-C does."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupted)
    bars = Bars()
    try:
        with bars.progress:
            yield bars
    finally:
        signal.signal(signal.SIGTERM, before)


def _export(checked: Any, clock: str, slides: Path, pytest_path: Path | None, github_path: Path | None) -> None:
    from datetime import UTC, datetime

    from bench.checks.speed.measuring.machine import fingerprint, software
    from bench.checks.speed.measuring.measure import Samples
    from bench.checks.speed.measuring.revision import described
    from bench.checks.speed.verdict import export

    samples, counters = checked.samples or Samples(), checked.counted.counters if checked.counted else {}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"machine": fingerprint(slides), "software": software(), "commit": described(), "made": made}
    for path, content in (
        (pytest_path, export.pytest_benchmark(samples, checked.head, clock, counters, about)),
        (github_path, export.github_action_benchmark(samples, checked.head, clock, counters)),
    ):
        if path is None:
            continue
        try:
            write_text(path, json.dumps(content, indent=1))
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
        print(f"wrote {path}", file=sys.stderr)
