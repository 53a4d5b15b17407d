"""The first tier: exact integers, compared exactly, on any machine."""

from __future__ import annotations

from bench.checks.speed.verdict.findings import Finding

WORK = ("patches", "unique_patches", "output_px")
"""What is asked for: another number is other work, whichever way it moved. All other counters are costs."""


OF_THE_SLIDES = "compressed_bytes"
"""How long tiles are in the file: with another version of the JPEG library the generated slides have another length."""


def compare_counters(
    base: dict[str, dict[str, int]], head: dict[str, dict[str, int]], same_slides: bool
) -> list[Finding]:
    """One finding for every counter of every operation that either side knows.

    same_slides: the slides are equal byte for byte. Where they are not, one finding says that `compressed_bytes` is
    not compared for any operation, and how to compare it.
    """
    found = []
    for operation in sorted(base.keys() | head.keys()):
        old, new = base.get(operation, {}), head.get(operation, {})
        for counter in sorted(old.keys() | new.keys()):
            if same_slides or counter != OF_THE_SLIDES:
                found.append(_one(f"{operation} {counter}", old.get(counter), new.get(counter), counter))
    names = base.keys() | head.keys()
    passed_over = [name for name in names if OF_THE_SLIDES in base.get(name, {}) | head.get(name, {})]
    if passed_over and not same_slides:
        found.append(_of_other_slides(len(passed_over)))
    return found


def _of_other_slides(operations: int) -> Finding:
    return Finding(
        "counters",
        f"all {OF_THE_SLIDES}",
        "not compared",
        f"of {operations} operations: another version of the JPEG library, or of the generator, wrote the slides of "
        "the baseline; compare with --against REV, or save a baseline here: `jsma-bench speed save --baseline FILE`",
    )


def _one(name: str, old: int | None, new: int | None, counter: str) -> Finding:
    if old is None or new is None:
        return Finding("counters", name, "not compared", "only one side has it: save a new baseline", old, new)
    if new == old:
        return Finding("counters", name, "ok", "", old, new)
    if counter in WORK:
        return Finding("counters", name, "regression", f"other work: {old} before, {new} now", old, new)
    if new > old:
        return Finding("counters", name, "regression", f"{old} before, {new} now (+{new - old})", old, new)
    return Finding("counters", name, "improved", f"{old} before, {new} now: save a new baseline", old, new)
