"""The gate on real times: `pytest -s tests/perf/test_proof.py`, one to three hours.

JSMA_GATE_CHECKS and JSMA_GATE_PLANTS say how often the same code, and the planted slowdown, are checked.
"""

import os
from pathlib import Path

import pytest

from bench.checks.speed.measuring.slides import make_slides
from tests.bench.checks.speed.planted import check, plant

CHECKS = int(os.environ.get("JSMA_GATE_CHECKS", "20"))
PLANTED = int(os.environ.get("JSMA_GATE_PLANTS", "3"))


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("JSMA_GATE_DATA", "data"))
    make_slides(folder)
    return folder


def test_a_tile_that_is_decoded_once_more_is_caught_by_counters_alone(data):
    with plant("extra-tile") as clone:
        code, found = check(clone, data, "--tiers", "counters")
    assert code == 1 and found["counters"]


@pytest.mark.parametrize("number", range(PLANTED))
def test_reads_that_are_15_per_cent_slower_are_caught_by_time_alone(data, number):
    with plant("slowdown") as clone:
        code, found = check(clone, data)
    assert code == 1 and found["against"] and not found["counters"]


@pytest.mark.parametrize("number", range(CHECKS))
def test_the_same_code_raises_no_alarm(data, number):
    with plant("none") as clone:
        assert check(clone, data)[0] == 0
