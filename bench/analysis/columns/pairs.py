"""Columns of the comparison with a reference; their functions take a `bench.analysis.against.Pair`."""

from __future__ import annotations

from bench.analysis.columns.column import Column, Row, format_interval


def _non_inferior(row: Row) -> str:
    return f"{row['non_inferior_verdict']} (margin {row['margin']:g})"


PAIRS = (
    Column("dataset", lambda pair: pair.own.dataset, "dataset", words=True),
    Column("strategy", lambda pair: pair.own.strategy),
    Column("settings", lambda pair: pair.own.differing),
    Column("name", lambda pair: pair.own.name),
    Column("reference", lambda pair: pair.reference.name),
    Column("shown", lambda pair: pair.own.shown, "strategy", words=True, short=True),
    Column("reference_shown", lambda pair: pair.reference.shown, "reference", words=True, short=True),
    Column(
        "difference",
        lambda pair: (pair.difference.value, pair.difference.low, pair.difference.high),
        "difference",
        "{:+.3f}",
        interval=True,
        short=True,
    ),
    Column(
        "interval",
        None,
        "95 % interval",
        shown=lambda row: format_interval(row["difference_low"], row["difference_high"], "+.3f"),
        short=True,
    ),
    Column("only_own", lambda pair: pair.difference.only_own),
    Column("only_reference", lambda pair: pair.difference.only_reference),
    Column(
        "discordant",
        None,
        "only right: own/ref.",
        shown=lambda row: f"{row['only_own']}/{row['only_reference']}",
    ),
    Column("mcnemar_p", lambda pair: pair.difference.mcnemar_p, "McNemar p", "{:.3g}"),
    Column("holm_p", None, "Holm p", "{:.3g}", short=True),  # over all rows of the dataset, when they are known
    Column("t_p", lambda pair: pair.t_p, "corrected t p", "{:.3g}"),
    Column("trainings", lambda pair: pair.trainings),
    Column("clusters", lambda pair: pair.difference.clusters),
    Column("clusters_are", lambda pair: pair.difference.unit),
    Column("margin", lambda pair: pair.margin),
    Column(
        "non_inferior",
        lambda pair: pair.difference.non_inferior(pair.margin),
        "non-inferior",
        shown=_non_inferior,
        short=True,
        folded=True,
    ),
    Column("non_inferior_verdict", lambda pair: pair.difference.verdict(pair.margin)),
    Column("non_inferior_least", lambda pair: pair.least),
)
