"""The gate on real times: `pytest tests/perf/test_proof.py` takes an hour; `python -m bench.checks.speed.proof`
prints more."""

import os
from pathlib import Path

import pytest

from bench.checks.speed import proof
from bench.checks.speed.measuring.slides import gate_slides

CHECKS = int(os.environ.get("JSMA_GATE_CHECKS", "20"))


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("JSMA_GATE_DATA", "data"))
    gate_slides(folder)
    return folder


def test_an_extra_decoding_is_caught_by_counters_alone(data):
    assert proof.extra_tile(data)


def test_reads_that_are_15_per_cent_slower_are_caught(data):
    assert proof.slowdown(data, [])


def test_the_same_code_raises_no_alarm(data):
    assert proof.alarms(data, CHECKS, []) == 0
