"""The gate's operations under pytest-benchmark, counters in extra_info: `pytest tests/perf`.

Not in the default run. `--benchmark-json=FILE` keeps the figures; JSMA_GATE_DEVICE=cuda measures there.
"""

import os
from pathlib import Path

import pytest
import torch

from bench.checks.speed.gauge.operations import OPERATIONS
from bench.checks.speed.gauge.workload import Place, Workload
from bench.checks.speed.measuring.slides import make_slides


@pytest.fixture(scope="module")
def work():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    slides = make_slides(Path(os.environ.get("JSMA_GATE_DATA", "data")))
    yield Workload(Place(slides, os.environ.get("JSMA_GATE_DEVICE", "cpu"), workers=1))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(benchmark, work, name):
    operation = OPERATIONS[name]
    run = operation.prepare(work)
    counts = run()

    def synchronised():
        run()
        work.synchronise()

    work.synchronise()
    benchmark.pedantic(synchronised, rounds=5, iterations=operation.executions, warmup_rounds=1)
    benchmark.extra_info.update(counts)
    assert run() == counts  # a measured operation that does something else each time compares nothing
