"""Findings as lines for people, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.checks.speed.verdict.findings import Finding, exit_code

WORDS = {
    0: "passed",
    1: "REGRESSION",
    3: "partial: something could not be measured",
    4: "nothing could be compared",
}


def lines(findings: Sequence[Finding]) -> list[str]:
    """Timings one by one; of counters only those that moved or could not be compared, then how many agree."""
    found = [_line(f) for f in findings if f.tier != "counters" or f.verdict != "ok"]
    agree = sum(f.tier == "counters" and f.verdict == "ok" for f in findings)
    if agree:
        found.append(f"counters: {agree} agree exactly")
    found.append(f"gate: {WORDS[exit_code(findings)]}")
    return found


def _line(finding: Finding) -> str:
    text = f"{finding.verdict:12}  {finding.tier:8}  {finding.name:26}"
    if finding.change is not None:
        c = finding.change
        text += f"  x {c.ratio:.3f} ({c.low:.3f}-{c.high:.3f}), {c.blocks} blocks, limit {finding.tolerance:.0%}"
    return f"{text}  {finding.text}".rstrip()


def as_data(findings: Sequence[Finding], **about: Any) -> dict[str, Any]:
    """Everything, for --json."""
    return {"exit_code": exit_code(findings), **about, "findings": [asdict(finding) for finding in findings]}
