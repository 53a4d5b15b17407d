"""`jsma-bench speed ...`: it parses and prints, nothing else."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import UsageError
from bench.files import write_text
from bench.options import Device, choose
from bench.progress import Bars

if TYPE_CHECKING:
    from bench.checks.speed import CheckResult, Conditions

speed_app = typer.Typer(no_args_is_help=True, help="The throughput gate: counters, ratios and times that must hold.")
File = Annotated[Path, typer.Option("--baseline", help="The baseline file.")]
Data = Annotated[Path, typer.Option(help="Folder where the generated slides are kept.")]
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
    from bench.checks.speed import save_baseline, take_baseline
    from bench.checks.speed.baseline_file import check_free, known_noise

    check_free(baseline)
    with _bars() as bars:
        how = _conditions((data, device, workers), (blocks, samples), bars)
        taken = take_baseline(how, known_noise(baseline))
    save_baseline(taken, baseline)
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the floors as JSON.")] = False,
) -> None:
    """Measure this working tree against itself; the noise floor of this machine goes into the baseline file."""
    from bench.checks.speed import load_baseline, measure_noise, save_baseline
    from bench.checks.speed.conditions import SOLO
    from bench.checks.speed.measuring.machine import fingerprint

    with _bars() as bars:
        stored = load_baseline(baseline)
        how = _conditions((data, device, workers), (blocks, samples), bars)
        floors = measure_noise(SOLO, how)
    save_baseline(stored.with_floors(fingerprint(how.rig.slides), device, floors), baseline)
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
    as_json: Annotated[bool, typer.Option("--json", help="Print every finding as JSON.")] = False,
    export_pytest_benchmark: Annotated[Path | None, typer.Option(help="Write pytest-benchmark's JSON here.")] = None,
    export_github: Annotated[Path | None, typer.Option(help="Write github-action-benchmark's JSON here.")] = None,
) -> None:
    """Has it become slower? Exit code 0 no, 1 yes, 3 something was not measured, 4 not comparable."""
    from bench.checks.speed.verdict.findings import as_data, exit_code, write_lines

    asked, names = _tiers(tiers, against), _operations(operations, against)
    with _bars() as bars:
        how = _conditions((data, device, workers), (blocks, samples), bars, clock, tolerance)
        result = _check(baseline, against, asked, names, how)
    _export(result, how, export_pytest_benchmark, export_github)
    if as_json:
        print(json.dumps(as_data(result.findings, against=against, clock=clock), indent=1))
    else:
        print("\n".join(write_lines(result.findings)))
    raise typer.Exit(exit_code(result.findings))


def _check(
    baseline: Path, against: str | None, tiers: tuple[str, ...] | None, names: tuple[str, ...], how: Conditions
) -> CheckResult:
    from bench.checks.speed import check_against, check_stored, load_baseline
    from bench.checks.speed.measuring.machine import fingerprint

    if against is None:
        return check_stored(load_baseline(baseline), tiers, how)
    if tiers is not None:
        return check_against(against, names, how, None)
    if not baseline.is_file():
        return check_against(against, names, how, {})
    floors = load_baseline(baseline).floors(fingerprint(how.rig.slides), how.rig.device, how.clock)
    return check_against(against, names, how, floors)


def _tiers(text: str | None, against: str | None) -> tuple[str, ...] | None:
    from bench.checks.speed.against_baseline import TIERS

    if text is None:
        return None
    if against is not None and text.strip() != "counters":
        raise UsageError(f"--tiers {text}: with --against only `--tiers counters` (nothing is timed), or leave it out")
    return choose("--tiers", text, TIERS)


def _operations(text: str | None, against: str | None) -> tuple[str, ...]:
    from bench.checks.speed.conditions import SOLO
    from bench.checks.speed.gauge.operations import OPERATIONS

    if text is None:
        return SOLO
    if against is None:
        raise UsageError("--operations: only with --against; the stored baseline is compared whole")
    return choose("--operations", text, OPERATIONS)


def _conditions(
    rig_options: tuple[Path, str, int],
    amount: tuple[int, int],
    report: Bars,
    clock: str = "cpu",
    tolerance: float | None = None,
) -> Conditions:
    """The conditions that options ask for; rig_options: --data, --device, --workers; amount: --blocks, --samples."""
    from bench.checks.speed import Conditions, Limits
    from bench.checks.speed.gauge.clocks import CLOCKS
    from bench.checks.speed.measuring.measure import Amount
    from bench.checks.speed.measuring.process import Rig
    from bench.checks.speed.measuring.slides import make_slides
    from bench.files import writable
    from bench.runs.plan import device_named

    if clock not in CLOCKS:
        raise UsageError(f"--clock {clock}; allowed: {', '.join(CLOCKS)}")
    limits = Limits() if tolerance is None else Limits(tolerance, tolerance, tolerance, tolerance)
    data, device, workers = rig_options
    rig = Rig(make_slides(writable(data, "--data")), device_named(device), workers, workers)
    return Conditions(rig, Amount(*amount), clock, limits, report)


@contextmanager
def _bars() -> Iterator[Bars]:
    """Progress; SIGTERM, which CI services send, ends a command as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with (bars := Bars()).progress:
            yield bars
    finally:
        signal.signal(signal.SIGTERM, before)


def _export(result: CheckResult, how: Conditions, pytest_path: Path | None, github_path: Path | None) -> None:
    from bench.checks.speed.verdict.export import github_rows, pytest_benchmark_json

    for path, write in (
        (pytest_path, lambda: pytest_benchmark_json(result, how.clock, how.rig)),
        (github_path, lambda: github_rows(result, how.clock)),
    ):
        if path is None:
            continue
        try:
            write_text(path, json.dumps(write(), indent=1))
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
        print(f"wrote {path}", file=sys.stderr)
