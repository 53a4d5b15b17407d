"""Every published layout, built once for all tests."""

from __future__ import annotations

import pytest

from tests.bench.datasets.layouts import LAYOUTS


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """built(name): the data folder that holds the dataset's small copy."""
    made = {}

    def build(name):
        if name not in made:
            made[name] = LAYOUTS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return build
