"""The digest of the code follows what decides results, and nothing else; runs without one count as other code's."""

import json
import shutil

import pytest

from bench.own_code import files_of
from bench.runs.kept.code_digest import DECIDES, ROOT, code_digest, find_runs_of_other_code


@pytest.fixture
def copy(tmp_path):
    for package in ("jsma", "baselines", "bench"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def changed(root, name):
    code_digest.cache_clear()
    before = code_digest(root)
    with (root / name).open("a") as file:
        file.write("# another line\n")
    code_digest.cache_clear()
    return code_digest(root) != before


@pytest.mark.parametrize(
    "name",
    (
        "jsma/draws/sampling.py",
        "jsma/slides/reading/plan.py",
        "baselines/top.py",
        "bench/runs/observed/where_looked.py",
    ),
)
def test_code_that_decides_results_changes_it(copy, name):
    assert code_digest(copy) == code_digest()
    assert changed(copy, name)


@pytest.mark.parametrize(
    "name",
    (
        "bench/report/page/page.py",
        "bench/analysis/rows.py",
        "bench/checks/speed/verdict/findings.py",
    ),
)
def test_code_that_only_reads_results_does_not(copy, name):
    assert not changed(copy, name)


def test_every_place_is_there():
    assert all((ROOT / place).exists() for place in DECIDES)


DECIDES_NOTHING = {
    "bench/__init__.py": "a docstring",
    "bench/claims.py": "whose a run is while it is made",
    "bench/files.py": "how files are written",
    "bench/workers.py": "processes that make slides",
    "bench/errors.py": "words of mistakes",
    "bench/own_code.py": "a strategy of one's own is named by the texts of its files",
    "bench/progress.py": "what people see of the progress",
    "bench/markup.py": "how tables are written for people",
    "bench/options.py": "where features are kept, which decides no result",
    "bench/text_files.py": "how lists of slides are read; what they say is part of the data's hash",
}


def test_whatever_a_run_imports_decides_its_result_or_says_why_not():
    found = {file.relative_to(ROOT).as_posix() for file in files_of(ROOT / "bench/runs/runner.py")}
    left = {name for name in found if not any(name == place or name.startswith(place + "/") for place in DECIDES)}
    assert len(found) > 25 and left == set(DECIDES_NOTHING)


def test_runs_that_do_not_say_are_other_code(tmp_path):
    for name, environment in (("own", {"code": code_digest()}), ("old", {}), ("other", {"code": "0"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "environment.json").write_text(json.dumps(environment))
    assert find_runs_of_other_code([tmp_path / n for n in ("own", "old", "other", "none")]) == [
        tmp_path / "old",
        tmp_path / "other",
    ]
