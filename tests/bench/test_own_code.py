"""A file is what it imports from beside it, and no more."""

from pathlib import Path

import pytest

from baselines.contract import Strategy
from bench.own_code import files_of, own_class, source_of


def written(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


FILES = {
    "mine.py": "import os, numpy\nimport pack.deep as d\nfrom layers import Gate\n",
    "layers.py": "from pack import other\nGate = 1\n",
    "alone.py": "import mine\n",
    "jsma.py": "",
    "pack/__init__.py": "",
    "pack/deep.py": "from . import near\nfrom ..outside import x\n",
    "pack/near.py": "import jsma\nimport mine\n",
    "pack/other.py": "def f():\n    from pack.late import y\n    import pack.far\n",
    "pack/late.py": "y = (\n",
    "pack/far.py": "from " + "." * 99 + " import x\n",
    "pack/unused.py": "",
}


def test_everything_that_is_imported_and_nothing_else(tmp_path):
    root = written(tmp_path, FILES)
    found = [file.relative_to(root.resolve()).as_posix() for file in files_of(root / "mine.py", frozenset({"jsma"}))]
    pack = [f"pack/{name}.py" for name in ("__init__", "deep", "far", "late", "near", "other")]
    assert found == ["mine.py", "layers.py", *pack]
    assert root.resolve() / "jsma.py" in files_of(root / "mine.py")


def test_of_a_package_nothing_outside_it_is_followed(tmp_path):
    """An installed package lies beside everything that is installed."""
    root = written(tmp_path, {**FILES, "pack/start.py": "import layers\nimport pack.near\nimport pack.sub.one\n"})
    written(root, {"pack/sub/__init__.py": "", "pack/sub/one.py": "from .. import late\n"})
    names = {"start.py", "__init__.py", "near.py", "one.py", "late.py"}
    assert {f.name for f in files_of(root / "pack/start.py")} == names
    installed = written(tmp_path / "site-packages", {"mine.py": "import torch\n", "torch.py": ""})
    assert files_of(installed / "mine.py") == [(installed / "mine.py").resolve()]


@pytest.mark.parametrize("changed", ("mine.py", "gates_of_mine.py"))
def test_a_strategy_in_two_files_is_named_by_both(tmp_path, changed):
    text = (Path(__file__).parents[1] / "baselines" / "mine.py").read_text()
    written(tmp_path, {"mine.py": text + "\nimport gates_of_mine\n", "gates_of_mine.py": "GATES = 2\n"})
    before = source_of(own_class(f"{tmp_path}/mine.py:Mine", Strategy, "--strategies"))
    (tmp_path / changed).write_text((tmp_path / changed).read_text() + "# another version\n")
    assert before.startswith(text) and "GATES = 2" in before
    assert source_of(own_class(f"{tmp_path}/mine.py:Mine", Strategy, "--strategies")) != before


def test_a_strategy_in_one_file_is_named_by_its_text(tmp_path):
    text = (Path(__file__).parents[1] / "baselines" / "mine.py").read_text()
    written(tmp_path, {"mine.py": text, "gates_of_mine.py": ""})
    assert source_of(own_class(f"{tmp_path}/mine.py:Mine", Strategy, "--strategies")) == text
