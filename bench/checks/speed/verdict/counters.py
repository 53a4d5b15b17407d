"""The first tier: exact integers, compared exactly, on any machine."""

from __future__ import annotations

from bench.checks.speed.verdict.findings import Finding

Counters = dict[str, dict[str, int]]
WORK = ("patches", "unique_patches", "output_px")
"""What is asked for: another number is other work, whichever way it moved. All other counters are costs."""
OF_THE_SLIDES = "compressed_bytes"
"""How long tiles are in the file: with another version of the JPEG library the generated slides have another length."""


def compare_counters(base: Counters, head: Counters, same_slides: bool) -> list[Finding]:
    """Compare every counter of every operation.

    Args:
        base: the earlier counters, by operation and name.
        head: those of the working tree.
        same_slides: whether both were counted on slides that are equal byte for byte. Where they were not, one finding
            says that `compressed_bytes` is not compared, and how to compare it.

    Returns:
        One finding for every counter that either side knows.
    """
    found, passed_over = [], 0
    for operation in sorted(base.keys() | head.keys()):
        old, new = base.get(operation, {}), head.get(operation, {})
        for counter in sorted(old.keys() | new.keys()):
            if same_slides or counter != OF_THE_SLIDES:
                found.append(_compare_one(operation, counter, old.get(counter), new.get(counter)))
            else:
                passed_over += 1
    return [*found, _of_other_slides(passed_over)] if passed_over else found


def _of_other_slides(operations: int) -> Finding:
    return Finding(
        "counters",
        f"all {OF_THE_SLIDES}",
        "not compared",
        f"of {operations} operations: another version of the JPEG library, or of the generator, wrote the slides of "
        "the baseline; compare with --against REV, or save a baseline here: `jsma-bench speed save --baseline FILE`",
    )


def _compare_one(operation: str, counter: str, old: int | None, new: int | None) -> Finding:
    verdict, text = "ok", ""
    if old is None or new is None:
        verdict, text = "not compared", "only one side has it: save a new baseline"
    elif new != old and counter in WORK:
        verdict, text = "regression", f"other work: {old} before, {new} now"
    elif new > old:
        verdict, text = "regression", f"{old} before, {new} now (+{new - old})"
    elif new < old:
        verdict, text = "improved", f"{old} before, {new} now: save a new baseline"
    return Finding("counters", f"{operation} {counter}", verdict, text, old, new)
