"""What happened while runs were made, as values: nobody writes into another one's record."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Incidents:
    """What went wrong while runs were made. `first + later` is both; of the same key the later one counts.

    Attributes:
        failed: Slide -> why it could not be used.
        ended: Strategy -> the error that ended it. The other strategies go on.
        empty: Run -> why it has no prediction; such a run is not kept.
    """

    failed: dict[str, str] = field(default_factory=dict)
    ended: dict[str, Exception] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)

    def __add__(self, later: Incidents) -> Incidents:
        failed, ended = {**self.failed, **later.failed}, {**self.ended, **later.ended}
        return Incidents(failed, ended, {**self.empty, **later.empty})


@dataclass(frozen=True)
class Result:
    """What came of a plan.

    Attributes:
        runs: Directories of the complete runs.
        failed: Slide -> why it could not be used.
        left_out: Reason -> how many slides of the dataset are not used.
        ended: Strategy -> why it was given up. The other strategies went on.
        empty: Run -> why it has no prediction and is not kept.
        elsewhere: Names of the runs that other processes were still making when waiting for them ended.
        findings: What is wrong with the data, and was accepted or does not stop a run.
    """

    runs: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every run that was asked for is complete."""
        return not (self.ended or self.empty or self.elsewhere)
