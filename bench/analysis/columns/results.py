"""Columns of the table over finished runs. A new metric is one entry here; its function takes a `Measured`.

The order is that of the CSV file and of the tables. A column without a function shows what others hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.analysis.columns.column import Column, Row, describe_control, format_interval
from bench.analysis.opponents import EVERYTHING, SEARCH
from bench.runs.layout import COMPRESSED_BYTES, DECODED_PX, PATCHES, SECONDS

if TYPE_CHECKING:
    from bench.analysis.measured import Measured


def name_of(row: Row) -> str:
    """The strategy, with the settings that tell it from others in brackets."""
    return row["strategy"] if row.get("settings") is None else f"{row['strategy']}[{row['settings']}]"


def shown_name(row: Row) -> str:
    """`name_of` with the one magnification that is read, where there is one: `exhaustive@2um`."""
    reads = row.get("reads")
    return name_of(row) if reads is None else name_of(row).replace(row["strategy"], f"{row['strategy']}@{reads}", 1)


def _add_notes(name: str, row: Row) -> str:
    return name + (", finetuned" if row.get("regime") == "finetuned" else "") + describe_control(row)


def _strategy(row: Row) -> str:
    return _add_notes(shown_name({**row, "settings": None}), row)


def _inference_ms(row: Row) -> float | None:
    return None if row["inference_s_per_slide"] is None else row["inference_s_per_slide"] * 1000


def _inference_s(measured: Measured) -> float | None:
    """None where predictions of a row met several states of the page cache."""
    return None if "," in measured.cache else measured.mean(SECONDS)


def _share(key: str, heading: str) -> Column:
    """A share of where a strategy looked, mean over slides."""
    return Column(key, lambda measured: measured.mean(key), heading, "{:.3f}")


DATASET = Column("dataset", lambda m: m.entry.dataset, "dataset", "{}", "its name and task", words=True)
STRATEGY = Column(
    "strategy",
    lambda m: m.entry.strategy,
    "strategy",
    "{}",
    "its name, and after `@` the magnification (micrometres a pixel) of those that read one: `exhaustive@2um`",
    shown=_strategy,
    words=True,
    short=True,
)
NAMED = replace(STRATEGY, shown=lambda row: _add_notes(shown_name(row), row))
"""The strategy with its settings in brackets, for tables without a column of settings."""

_SUMMARY = (
    DATASET,
    STRATEGY,
    Column("reads", lambda m: m.entry.reads),
    Column(
        "settings",
        lambda m: m.entry.differing,
        "settings",
        "{}",
        "what differs between the runs of this dataset, where anything does: such runs are rows of their own",
        optional=True,
        words=True,
        short=True,
    ),
    Column("regime", lambda m: m.runs[0].regime),
    Column("runs", lambda m: len(m.runs), "runs", "{}", "finished runs (folds x seeds)"),
    Column("slides", lambda m: int(m.rows["slide"].nunique()), "slides", "{}", "different test slides"),
    Column(
        "accuracy",
        lambda m: m.accuracy,
        "accuracy",
        "{:.3f}",
        "share of right predictions",
        interval=True,
        short=True,
    ),
    Column(
        "interval",
        None,
        "95 % interval",
        "{}",
        "of the accuracy, over slides (over patients where known), so that seeds are not taken for slides; "
        '"-" for one ([statistics.md](statistics.md))',
        shown=lambda row: format_interval(row["accuracy_low"], row["accuracy_high"]),
        short=True,
    ),
    Column(
        "auc",
        lambda m: m.auc["auc"],
        "AUC",
        "{:.3f}",
        "area under the ROC curve, one against the rest, macro mean",
    ),
    Column("auc_reason", lambda m: m.auc["auc_reason"]),
)

_COSTS = (
    Column(
        "patches_per_slide",
        lambda m: m.mean(PATCHES),
        "patches",
        "{:.1f}",
        "patches a slide that the strategy asked for at inference",
        short=True,
        cost="patches",
        axis="patches read, a slide",
    ),
    Column(
        "megapixels_decoded_per_slide",
        lambda m: (m.mean(DECODED_PX) or 0.0) / 1e6,
        "Mpx decoded",
        "{:.2f}",
        "pixels of all file tiles that were decoded for it, overview included",
        short=True,
        cost="Mpx",
        axis="decoded, megapixels a slide",
    ),
    Column(
        "megabytes_read_per_slide",
        lambda m: (m.mean(COMPRESSED_BYTES) or 0.0) / 1e6,
        "MB read",
        "{:.2f}",
        "compressed bytes of those tiles",
        cost="MB",
        axis="read, compressed megabytes a slide",
    ),
    Column(
        "train_s",
        lambda m: m.mean_of_training("train_s"),
        "train s",
        "{:.1f}",
        "seconds until training stopped on validation, charged in full (below)",
        timed=True,
        short=True,
    ),
    Column(
        "storage_mb",
        lambda m: m.storage_mb,
        "MB kept",
        "{:.1f}",
        "what the features take, in megabytes, that a training paid for, where they are kept (`--features`)",
        optional=True,
    ),
    Column("train_charged_s", lambda m: m.mean_of_training("charged_s"), timed=True),
    Column("cache", lambda m: m.cache),
    Column(
        "inference_s_per_slide",
        _inference_s,
        timed=True,
        cost="seconds",
        axis="inference, seconds a slide",
    ),
    Column(
        "inference_ms",
        None,
        "infer ms/slide",
        "{:.0f}",
        "from opening the file to the prediction; file in the page cache (`cache` = warm in `--json`), or not (below)",
        shown=_inference_ms,
        short=True,
    ),
    Column(
        "inference_j",
        None,
        "infer J/slide",
        "{:.2f}",
        "joules of a prediction, where the machine has readable counters ([statistics.md](statistics.md))",
        shown=lambda row: row.get("inference_j_per_slide"),
        optional=True,
    ),
)

_SPEEDUPS = (
    Column("speedup_reference", lambda m: m.everything and m.everything.shown, timed=True),
    Column(
        "train_speedup_vs_everything",
        lambda m: m.training_speedup(m.everything),
        "train x everything",
        "{:.2f}",
        f"training seconds of what reads everything, divided by this strategy's: `{EVERYTHING[0]}` where it was run, "
        f"else `{EVERYTHING[1]}`, which reads one magnification; a line under the table says which",
        timed=True,
        interval=True,
    ),
    Column(
        "train_speedup_vs_search",
        lambda m: m.training_speedup(m.search),
        "train x search",
        "{:.2f}",
        f'the same over `{SEARCH}`; "-", and a note, where the strategy draws its patches otherwise than the search '
        "did (`estimator`, `sampling`, `n_patches`)",
        timed=True,
        interval=True,
    ),
    Column(
        "inference_speedup_vs_everything",
        lambda m: m.inference_speedup(m.everything),
        "infer x everything",
        "{:.2f}",
        "as train x everything, for inference, slide by slide, geometric mean",
        timed=True,
        interval=True,
    ),
    # over `exhaustive` as in tables of before
    Column("train_speedup_vs_exhaustive", lambda m: m.training_speedup(m.exhaustive), timed=True, interval=True),
    Column("inference_speedup_vs_exhaustive", lambda m: m.inference_speedup(m.exhaustive), timed=True, interval=True),
)

_BY_CLASS = tuple(
    Column(key, lambda m, key=key: m.by_class[key])
    for key in ("correct", "predictions", "balanced_accuracy", "macro_f1", "kappa", "ece")
)
_SPREADS = tuple(
    Column(key, lambda m, key=key: m.spreads[key])
    for key in ("accuracy_sd_training", "accuracy_sd_sampling", "accuracy_sd_training_alone")
)
_ENERGY = (
    Column("train_j", lambda m: m.energy["train_j"], timed=True),
    Column("train_j_reason", lambda m: m.energy["train_j_reason"]),
    Column(
        "inference_j_per_slide",
        lambda m: m.energy["inference_j_per_slide"],
        timed=True,
        cost="joules",
        axis="inference, joules a slide",
    ),
    Column("inference_j_reason", lambda m: m.energy["inference_j_reason"]),
    Column("energy_source", lambda m: m.energy["energy_source"]),
)
_IN_EVIDENCE = _share("in_evidence", "patches in evidence")
_HIT_EVIDENCE = _share("hit_evidence", "slides with a hit")
_ATTENTION_IN_EVIDENCE = _share("attention_in_evidence", "attention in evidence")
_ATTENTION_ELSEWHERE = (
    _share("attention_slide_edge", "attention at the slide's edge"),
    _share("attention_tissue_edge", "attention at the tissue's edge"),
    _share("attention_background", "attention on background"),
)
_SHARES = (_IN_EVIDENCE, _ATTENTION_IN_EVIDENCE, _HIT_EVIDENCE, *_ATTENTION_ELSEWHERE)
_REST = (
    Column("uses_evidence", lambda m: any(run.train.get("uses_evidence", False) for run in m.runs)),
    Column("told", lambda m: m.runs[0].train.get("told", "")),
    Column("bottleneck", lambda m: m.bottleneck, timed=True),
    Column(
        "pareto",
        None,
        "Pareto front of",
        "{}",
        "costs for which no other row is as cheap and more accurate",
        shown=lambda row: ", ".join(row["pareto"]) or None,
        folded=True,
    ),
)

ALL = (*_SUMMARY, *_COSTS, *_SPEEDUPS, *_BY_CLASS, *_SPREADS, *_ENERGY, *_SHARES, *_REST)
"""What is computed of a row, in the order of the CSV file."""
RESULTS = tuple(column for column in ALL if column not in _SHARES)
"""Of the table of strategies."""
WHERE = (
    DATASET,
    replace(STRATEGY, shown=shown_name),
    _IN_EVIDENCE,
    _HIT_EVIDENCE,
    _ATTENTION_IN_EVIDENCE,
    *_ATTENTION_ELSEWHERE,
)
"""Of the table of where strategies looked (`bench.runs.observed.where_looked`)."""
COSTS = {column.cost: column for column in ALL if column.cost}
"""Name of a cost -> its column."""
