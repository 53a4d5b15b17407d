"""The first tier: exact integers, compared exactly, on any machine."""

from __future__ import annotations

from bench.checks.speed.verdict.findings import Finding

WORK = ("patches", "unique_patches", "output_px")
"""What is asked for: another number is other work, whichever way it moved. All other counters are costs."""


def compare_counters(
    base: dict[str, dict[str, int]], head: dict[str, dict[str, int]], same_slides: bool
) -> list[Finding]:
    """One finding for every counter of every operation that either side knows.

    same_slides: the slides are equal byte for byte; where they are not, `compressed_bytes` is not compared.
    """
    found = []
    for operation in sorted(base.keys() | head.keys()):
        old, new = base.get(operation, {}), head.get(operation, {})
        for counter in sorted(old.keys() | new.keys()):
            found.append(_one(f"{operation} {counter}", old.get(counter), new.get(counter), counter, same_slides))
    return found


def _one(name: str, old: int | None, new: int | None, counter: str, same_slides: bool) -> Finding:
    if old is None or new is None:
        return Finding("counters", name, "not compared", "only one side has it: save a new baseline", old, new)
    if counter == "compressed_bytes" and not same_slides:
        why = "the slides were written by another version of the JPEG library, or of the generator"
        return Finding("counters", name, "not compared", why, old, new)
    if new == old:
        return Finding("counters", name, "ok", "", old, new)
    if counter in WORK:
        return Finding("counters", name, "regression", f"other work: {old} before, {new} now", old, new)
    if new > old:
        return Finding("counters", name, "regression", f"{old} before, {new} now (+{new - old})", old, new)
    return Finding("counters", name, "improved", f"{old} before, {new} now: save a new baseline", old, new)
