"""Columns of the table of a sweep; their functions take a `bench.analysis.sweep_rows.Point`."""

from __future__ import annotations

from bench.analysis.columns.column import Column, Row, describe_control, format_interval
from bench.runs.layout import COMPRESSED_BYTES, DECODED_PX, PATCHES, SECONDS

THIRDS = ("easy", "middle", "hard")
"""Thirds of the slides by how hard they are to the reference (`statistics.equal_patches.rank_into_thirds`)."""


def name_of(row: Row) -> str:
    """The strategy, with a note where its patches were the most probable ones and not drawn, or evidence was used."""
    name = f"{row['strategy']}{describe_control(row)}"
    return name if row["mode"] == "sample" else f"{name} (top-N)"


_STRATEGY = Column("strategy", lambda point: point.keys["strategy"], "strategy", shown=name_of, words=True)

SWEEP = (
    Column("dataset", lambda point: point.rows["dataset"].iloc[0]),
    _STRATEGY,
    Column("mode", lambda point: point.keys["mode"]),
    Column("budget", lambda point: int(point.keys["budget"]) or None, "N"),
    Column("confidence", lambda point: point.confidence, "confidence", "{:g}"),
    Column("uses_evidence", lambda point: bool(point.rows["uses_evidence"].any())),
    Column("told", lambda point: point.rows["told"].iloc[0] if "told" in point.rows else ""),
    Column("trainings", lambda point: point.trainings, "trainings"),
    Column("draws", lambda point: point.draws, "sampling seeds"),
    Column("slides", lambda point: int(point.rows["slide"].nunique()), "slides"),
    Column("accuracy", lambda point: point.accuracy, "accuracy", "{:.3f}", interval=True),
    Column(
        "interval",
        None,
        "95 % interval",
        shown=lambda row: format_interval(row["accuracy_low"], row["accuracy_high"]),
    ),
    Column("sd_sampling", lambda point: point.sd_sampling, "sd sampling", "{:.3f}"),
    Column("sd_training", lambda point: point.sd_training, "sd training", "{:.3f}"),
    Column("flip_rate", lambda point: point.flip_rate, "flip rate", "{:.3f}"),
    Column("patches_per_slide", lambda point: point.mean(PATCHES), "patches", "{:.1f}"),
    Column("megapixels_decoded_per_slide", lambda point: point.mean(DECODED_PX) / 1e6, "Mpx decoded", "{:.2f}"),
    Column("megabytes_read_per_slide", lambda point: point.mean(COMPRESSED_BYTES) / 1e6, "MB read", "{:.2f}"),
    Column("seconds_per_slide", lambda point: point.mean(SECONDS), "s/slide", "{:.3f}", timed=True),
)
"""One row a strategy, mode, budget and confidence, in the order of the CSV file."""


def list_equal_columns(reference: str) -> list[Column]:
    """Columns of the table that sets strategies against `reference` at as many patches, over all slides and thirds."""
    places = {"all slides": "", **{third: f"_{third}" for third in THIRDS}}
    plain = [Column(key, None, heading, "{:g}") for key, heading in (("budget", "N"), ("confidence", "confidence"))]
    patches = [
        Column(f"patches{part}" if part else "patches_per_slide", None, f"patches, {place}", "{:.1f}")
        for place, part in places.items()
    ]
    accuracies = [Column(f"accuracy{part}", None, f"accuracy, {place}", "{:.3f}") for place, part in places.items()]
    gaps = [
        Column(
            f"difference{part}",
            None,
            f"minus {reference} at as many patches, {place}",
            shown=lambda row, part=part: _gap(row, f"difference{part}"),
        )
        for place, part in places.items()
    ]
    return [_STRATEGY, *plain, *patches, *accuracies, *gaps]


def _gap(row: Row, key: str) -> str | None:
    if row[key] is None:
        return None
    return f"{row[key]:+.3f} ({format_interval(row[f'{key}_low'], row[f'{key}_high'], '+.3f')})"
