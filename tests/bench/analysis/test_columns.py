"""A column is one entry: it is computed, shown, refused and explained from there."""

from types import SimpleNamespace
from typing import cast

import pytest

from bench.analysis.columns.column import Column, choose_columns, clear_timed, compute_row
from bench.analysis.columns.pairs import PAIRS
from bench.analysis.columns.results import ALL, COSTS, RESULTS, WHERE
from bench.analysis.columns.sweeps import SWEEP
from bench.analysis.measured import Measured
from bench.report.documents import explain_columns
from bench.report.tables.tables import as_csv, latex, markdown, terminal

NEW = (
    Column("dataset", lambda subject: "x", "dataset", words=True),
    Column("size", lambda subject: subject, "how large", "{:.2f}", "letters", interval=True, short=True),
    Column("slow_s", lambda subject: 2.0, "slow", timed=True),
    Column("hidden", lambda subject: 3),
    Column("rare", lambda subject: None, "rare", optional=True),
)


def test_a_new_column_is_in_every_kind_of_table():
    rows = [compute_row(NEW, (1.5, 1.0, 2.0)), compute_row(NEW, None)]
    assert rows[0] == {
        "dataset": "x",
        "size": 1.5,
        "size_low": 1.0,
        "size_high": 2.0,
        "slow_s": 2.0,
        "hidden": 3,
        "rare": None,
    }
    assert rows[1]["size"] is rows[1]["size_high"] is None
    for text in (markdown(rows, NEW), latex(rows, NEW)):
        assert "how large" in text and "1.50" in text and "hidden" not in text and "rare" not in text
    assert as_csv(rows).splitlines()[0] == "dataset,size,size_low,size_high,slow_s,hidden,rare"
    shown = [str(column.header) for column in terminal(rows, columns=NEW).columns]
    assert [heading.split() for heading in shown] == [["how", "large"]]
    assert "| how large | letters |" in " ".join(explain_columns(NEW).split())


def test_what_is_timed_is_refused_and_nothing_else():
    rows = [compute_row(NEW, (1.5, 1.0, 2.0))]
    clear_timed(NEW, rows)
    assert rows[0]["slow_s"] is None and rows[0]["size"] == 1.5
    timed = {column.key for column in ALL if column.timed}
    seconds = {"train_s", "train_charged_s", "inference_s_per_slide", "bottleneck", "train_j", "inference_j_per_slide"}
    assert timed == seconds | {column.key for column in ALL if "speedup" in column.key}


@pytest.mark.parametrize("columns", (ALL, PAIRS, SWEEP), ids=("results", "pairs", "sweep"))
def test_no_key_is_given_twice(columns):
    keys = [key for column in columns for key in column.keys]
    assert len(keys) == len(set(keys)) > 15


def test_every_column_of_the_table_is_explained_and_computed():
    assert all(column.meaning for column in RESULTS if column.heading)
    assert all(column.function or column.shown for column in ALL)
    assert set(COSTS) == {"patches", "Mpx", "MB", "seconds", "joules"} and all(c.axis for c in COSTS.values())
    assert len(WHERE) == 8 and not {column.key for column in WHERE[2:]} & {column.key for column in RESULTS}


def test_an_optional_column_is_there_where_a_row_has_it():
    kept = choose_columns(NEW, [{"rare": None}, {"rare": 0}])
    assert [column.key for column in kept] == ["dataset", "size", "slow_s", "rare"]


def test_storage_is_that_of_the_runs_which_keep_features():
    def measured(*records):
        return cast(Measured, SimpleNamespace(runs=[SimpleNamespace(train={"features": r}) for r in records]))

    size = vars(Measured)["storage_mb"].fget
    fresh, memory = {"kept": "fresh", "bytes": 9e6}, {"kept": "memory", "bytes": 4e6}
    assert size(measured(memory, {"kept": "folder", "bytes": 2e6}, fresh)) == 3.0
    assert size(measured(fresh)) is None and size(measured(None, {})) is None
