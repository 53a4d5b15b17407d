"""docs/datasets.md holds the cards as they are, names every command, and its example works."""

import re
from pathlib import Path

from bench.cli.commands.data import data_app
from bench.datasets import load_dataset
from bench.datasets.inspect.cards import card_markdown
from tests.bench.datasets import images

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text()


def test_the_cards_are_current():
    shown = PAGE.split("<!-- jsma-bench data list --md -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == card_markdown(), "run `jsma-bench data list --md` and paste it between the marks"


def test_every_data_command_is_documented_and_has_help():
    for command in data_app.registered_commands:
        name = command.name or command.callback.__name__
        assert f"`jsma-bench data {name}" in PAGE and command.callback.__doc__


def test_the_example_of_a_dataset_works(tmp_path):
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "mine.py").write_text(code)
    for k in range(12):
        images.svs(tmp_path / "slides" / f"{('benign', 'malignant')[k % 2]}_{k}.svs", k)
    dataset = load_dataset(f"{tmp_path / 'mine.py'}:Mine", None, tmp_path)
    assert (len(dataset.records), dataset.classes) == (12, ("benign", "malignant"))
