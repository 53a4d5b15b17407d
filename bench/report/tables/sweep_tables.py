"""The table of a sweep over budgets."""

from __future__ import annotations

from typing import Any

from bench.analysis.statistics.equal_patches import THIRDS
from bench.report.tables.tables import format_interval, markdown_table, told

COLUMNS: dict[str, tuple[str, str]] = {
    "strategy": ("strategy", "{}"),
    "budget": ("N", "{}"),
    "confidence": ("confidence", "{:g}"),
    "trainings": ("trainings", "{}"),
    "draws": ("sampling seeds", "{}"),
    "slides": ("slides", "{}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "interval": ("95 % interval", "{}"),
    "sd_sampling": ("sd sampling", "{:.3f}"),
    "sd_training": ("sd training", "{:.3f}"),
    "flip_rate": ("flip rate", "{:.3f}"),
    "patches_per_slide": ("patches", "{:.1f}"),
    "megapixels_decoded_per_slide": ("Mpx decoded", "{:.2f}"),
    "megabytes_read_per_slide": ("MB read", "{:.2f}"),
    "seconds_per_slide": ("s/slide", "{:.3f}"),
}
"""Key -> (heading, format)."""


EQUAL = (
    "Accuracy minus that of the first strategy, drawn, at as many patches (linear in log patches between its budgets), "
    "with a 95 % interval over slides. Easy and hard: thirds of the slides by how often the other trainings of that "
    "strategy, at its largest budget, are wrong about them; they need two trainings."
)


PARTS = ("", *(f"_{third}" for third in THIRDS))


def name_of(row: dict[str, Any]) -> str:
    """The strategy, with a note where its patches were the most probable ones and not drawn, or evidence was used."""
    name = f"{row['strategy']}{told(row)}"
    return name if row["mode"] == "sample" else f"{name} (top-N)"


def cells(row: dict[str, Any]) -> list[str]:
    """The row as text, "-" where a value does not apply."""
    interval = format_interval(row["accuracy_low"], row["accuracy_high"])
    shown = {**row, "strategy": name_of(row), "interval": interval}
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in COLUMNS.items()]


def markdown(table: list[dict[str, Any]]) -> str:
    """A Markdown table."""
    return markdown_table([heading for heading, _ in COLUMNS.values()], [cells(row) for row in table])


def equal_markdown(table: list[dict[str, Any]]) -> str:
    """The rows that can be set against the first strategy at as many patches, as Markdown; "" where none can."""
    shown = [row for row in table if row["difference"] is not None]
    if not shown:
        return ""
    return markdown_table(_equal_headings(str(shown[0]["reference"])), [_equal_cells(row) for row in shown])


def _equal_headings(reference: str) -> list[str]:
    where = ["all slides", *THIRDS]
    return [
        "strategy",
        "N",
        "confidence",
        *(f"patches, {w}" for w in where),
        *(f"accuracy, {w}" for w in where),
        *(f"minus {reference} at as many patches, {w}" for w in where),
    ]


def _equal_cells(row: dict[str, Any]) -> list[str]:
    patches, right = (
        [row[whole], *(row[f"{key}_{third}"] for third in THIRDS)]
        for key, whole in (("patches", "patches_per_slide"), ("accuracy", "accuracy"))
    )
    gaps = [[row[f"difference{part}{end}"] for end in ("", "_low", "_high")] for part in PARTS]
    return [
        name_of(row),
        *("-" if row[key] is None else f"{row[key]:g}" for key in ("budget", "confidence")),
        *("-" if n is None else f"{n:.1f}" for n in patches),
        *("-" if a is None else f"{a:.3f}" for a in right),
        *(_gap(*gap) for gap in gaps),
    ]


def _gap(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.3f} ({format_interval(low, high, '+.3f')})"
