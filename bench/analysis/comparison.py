"""All that a comparison shows, computed once, and what must not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.against import choose_references, compare_all_pairs, compare_with_references
from bench.analysis.columns.column import Row, clear_timed
from bench.analysis.columns.results import ALL
from bench.analysis.entries import Entry, group_runs
from bench.analysis.fronts import mark_fronts
from bench.analysis.leaders import Leader, leaders
from bench.analysis.opponents import describe_everything, describe_search
from bench.analysis.rows import compute_rows
from bench.errors import NotComparableError
from bench.runs.kept.choice import EVERY, Choice, describe_groups, split_of
from bench.runs.kept.finished import FinishedRun, load_all

MACHINE = ("cpu", "cores", "platform")
"""Keys of a run's environment that must agree for seconds to be compared; so must the device, and what GPU it is."""


def check_comparable(runs: list[FinishedRun]) -> str | None:
    """NotComparableError where runs of one dataset saw other data or another split of a fold.

    Returns the reason why seconds must not be compared (other machines), or None where they may.
    """
    by_dataset: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset, []).append(run)
    for name, own in sorted(by_dataset.items()):
        if len({run.data_hash for run in own}) > 1:
            raise NotComparableError(describe_groups(name, own, "data hash", lambda run: run.data_hash))
        by_fold: dict[int, list[FinishedRun]] = {}
        for run in own:
            by_fold.setdefault(run.fold, []).append(run)
        for _, of_fold in sorted(by_fold.items()):
            if len({split_of(run) for run in of_fold}) > 1:
                raise NotComparableError(describe_groups(name, of_fold, "split", split_of))
    machines = {_machine(run) for run in runs}
    if len(machines) > 1:
        return f"runs of {len(machines)} machines or devices: accuracy is compared, seconds and speed-ups are not"
    return None


def _check_once(entry: Entry) -> None:
    seen: dict[tuple[int, int], FinishedRun] = {}
    for run in entry.runs:
        other = seen.setdefault((run.fold, run.seed), run)
        if other is not run:
            raise NotComparableError(
                f"{other.path} and {run.path} are of one strategy, fold, seed and settings and must not be counted as "
                "two; give one of them"
            )


def _machine(run: FinishedRun) -> tuple[str, ...]:
    device = str(run.settings.get("device", "cpu")).partition(":")[0]
    gpu = "" if device == "cpu" else str(run.environment.get("gpu"))
    return (*(str(run.environment.get(key)) for key in MACHINE), device, gpu)


@dataclass(frozen=True)
class Compared:
    """All that `jsma-bench compare` prints and saves, computed once.

    Attributes:
        runs: All runs.
        entries: The runs sorted into the rows of the table.
        rows: Of `bench.analysis.rows`, one an entry, in the same order.
        against: Each row beside its reference, or each beside each (`bench.analysis.against`).
        notes: What was not compared and why, what failed, what was accepted.
        damaged: One line a damaged run.
        reference: Dataset -> the strategy that others are set against; empty where each is set against each.
        margin: Of non-inferiority, in accuracy.
        leaders: Who is most accurate, one a dataset.
    """

    runs: list[FinishedRun]
    entries: list[Entry]
    rows: list[Row]
    against: list[Row]
    notes: list[str]
    damaged: list[str]
    reference: dict[str, str]
    margin: float
    leaders: list[Leader]

    @property
    def said(self) -> list[str]:
        """Lines under the table: over what the speed-ups are, and who is most accurate."""
        return [*describe_everything(self.entries), *map(str, self.leaders)]


def compare_folders(
    folders: list[Path], reference: str | None, margin: float, every_pair: bool = False, choice: Choice = EVERY
) -> Compared:
    """Load runs and compare them; seconds are left out where the machines differ.

    Args:
        folders: Folders of runs, or single runs.
        reference: The strategy or row that others are set against; None for what reads everything.
        margin: Of non-inferiority, in accuracy, above 0 and below 1.
        every_pair: Compare each row with each other, in place of the reference.
        choice: Which of the runs.

    Returns:
        Everything that is shown.

    Raises:
        UsageError: There is no run, the reference was not run, or the margin is out of its range.
        NotComparableError: The runs saw other data or splits, or one of them is there twice.
    """
    loaded = load_all(folders, choice)
    runs = loaded.runs
    note = check_comparable(runs)
    found = group_runs(runs)
    for entry in found:
        _check_once(entry)
    rows = compute_rows(found)
    notes = [*([note] if note else []), *describe_accepted(runs), *describe_failures(runs), *describe_search(found)]
    if note:
        clear_timed(ALL, rows)
        mark_fronts(rows)
    asked = choose_references(found, reference)
    set_beside = compare_all_pairs(found, margin) if every_pair else compare_with_references(found, asked, margin)
    if not every_pair:
        notes += _describe_missing(found, asked, set_beside)
    return Compared(
        runs, found, rows, set_beside, notes, loaded.damaged, {} if every_pair else asked, margin, leaders(found, rows)
    )


def describe_accepted(runs: Sequence[FinishedRun]) -> list[str]:
    """A line about the findings of `data verify` that were accepted; none where there were none."""
    found = list(dict.fromkeys(finding for run in runs for finding in run.findings))
    return [f"run with --accept-findings: {len(found)} findings: {'; '.join(found)}"] if found else []


def _describe_missing(found: Sequence[Entry], asked: dict[str, str], beside: list[Row]) -> list[str]:
    done = {(row["dataset"], row["name"]) for row in beside}
    return [
        f"{entry.dataset}: {entry.name} is not set against {name}: no run of it on the same slides in these settings; "
        "name one row, such as --reference 'exhaustive[epochs=80]'"
        for entry in found
        if (name := asked.get(entry.dataset)) is not None
        and name not in (entry.strategy, entry.name, entry.shown)
        and (entry.dataset, entry.name) not in done
    ]


def describe_failures(runs: Sequence[FinishedRun]) -> list[str]:
    """A line about the slides that the runs could not read, which are in no figure; none where all were read."""
    found = {slide: reason for run in runs for slide, reason in run.failed.items()}
    if not found:
        return []
    slide, reason = next(iter(found.items()))
    return [f"{len(found)} slides could not be read by these runs and are in no figure; the first: {slide}: {reason}"]
