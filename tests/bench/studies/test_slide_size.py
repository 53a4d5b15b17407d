"""Inference cost against size: rounds a side, and ratios taken round by round."""

import pandas as pd
import pytest

from bench.errors import UsageError
from bench.studies.slide_size import split_rounds, summary


def test_rounds_are_one_number_or_one_a_side():
    assert split_rounds("3", 2) == [3, 3] and split_rounds("2,1", 2) == [2, 1]
    for wrong in ("0", "2,1,1", "x", "", "1,0"):
        with pytest.raises(UsageError, match="one a side"):
            split_rounds(wrong, 2)


def test_speed_up_is_taken_within_each_round_of_a_size():
    costs = {"patches": 1, "tissue_cells": 2, "decoded_px": 3e6, "compressed_bytes": 4e6}
    seconds = {("a", 64): [1.0, 10.0, 2.0], ("b", 64): [3.0, 20.0, 2.0], ("a", 128): [1.0], ("b", 128): [8.0]}
    rows = [
        {"strategy": name, "side0_px": side, "seconds": s, **costs}
        for (name, side), all_of in seconds.items()
        for s in all_of
    ]
    table = {(row["strategy"], row["side0_px"]): row for row in summary(pd.DataFrame(rows), "b")}
    found = table["a", 64]
    assert (found["speedup_vs_b"], found["speedup_low"], found["speedup_high"], found["rounds"]) == (2.0, 1.0, 3.0, 3)
    assert table["a", 128]["speedup_vs_b"] == 8 and table["a", 128]["megapixels_decoded"] == 3
