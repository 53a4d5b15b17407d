"""All figures of a report in their order, each drawn once and saved as PNG and SVG, or left out with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from bench.report.figures import frames
from bench.report.figures.cost import draw_area, draw_front, draw_speedups, draw_stages
from bench.report.figures.learning import draw_anytime, draw_curves, draw_magnifications
from bench.report.figures.letters import encode_letters, legend_of
from bench.report.figures.style import theme, write
from bench.report.material import Material, Part

NO_SECONDS = "the runs are of several machines, whose seconds are not compared"


@dataclass(frozen=True)
class Shown:
    """A figure of the page. section: its heading; svg: to stand in the page, or "" where reason says why not."""

    section: str
    name: str
    caption: str
    svg: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Sketch:
    """A figure that is still to be drawn, or the reason why it is not."""

    section: str
    name: str
    caption: str
    draw: Callable[[], Figure] | None = None
    reason: str = ""


def draw_all(material: Material, part: Part, folder: Path) -> list[Shown]:
    """Every figure of one dataset, saved into `folder`."""
    prefix = "" if len(material.parts) == 1 else f"{plain(part.dataset)}-"
    found = []
    for sketch in sketches(material, part):
        if sketch.draw is None:
            found.append(Shown(sketch.section, sketch.name, sketch.caption, reason=sketch.reason))
            continue
        name = prefix + sketch.name
        with theme(name):
            figure = sketch.draw()
            caption = sketch.caption + legend_of(encode_letters(figure))
            found.append(Shown(sketch.section, name, caption, write(figure, folder, name)))
    return found


def plain(text: str) -> str:
    """As part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-") or "x"


def sketches(material: Material, part: Part) -> Iterator[Sketch]:
    """What is to be drawn of a dataset, section by section."""
    note = f"{part.dataset}: {part.n}"
    yield from _speedups(part, note, material.no_seconds)
    yield from _fronts(part, note, material.no_seconds)
    yield _anytime(material, part.dataset)
    yield from _stages(part, note, material.no_seconds)
    yield from _areas(part, note, material.no_seconds)
    yield _curves(part, material.no_seconds)
    yield from _magnifications(part)


def _speedups(part: Part, note: str, no_seconds: bool) -> Iterator[Sketch]:
    section, keys = "How much faster", frames.speedup_keys(part)
    if not keys:
        reason = (
            NO_SECONDS if no_seconds else "no opponent (exhaustive-all, exhaustive, search) was run beside the others"
        )
        yield Sketch(section, "speedup", "Speed-ups", reason=reason)
    for key in keys:
        what, _, opponent = key.partition("_speedup_vs_")
        what = {"train": "training"}.get(what, what)
        named = (
            opponent
            if opponent != "everything"
            else ", ".join(dict.fromkeys(row["speedup_reference"] for row in part.rows if row["speedup_reference"]))
        )
        table = frames.speedups(part, key)
        yield Sketch(
            section,
            f"speedup-{what}-{opponent}",
            f"{what.capitalize()}: seconds of {named} divided by the strategy's, geometric mean of paired ratios "
            f"with 95 % interval ({note}). Right of 1 is faster; no interval where there is a single pair.",
            lambda table=table, what=what, named=named: draw_speedups(
                table, f"{what} speed-up, times as fast as {named}", note
            ),
        )


def _fronts(part: Part, note: str, no_seconds: bool) -> Iterator[Sketch]:
    section = "Accuracy for its cost"
    for key, (name, axis_label) in frames.COSTS.items():
        found = frames.fronts(part, key)
        if not found:
            why = [row["inference_j_reason"] for row in part.rows if name == "joules" and row.get("inference_j_reason")]
            reason = NO_SECONDS if no_seconds and name == "seconds" else next(iter(why), f"no run has {key}")
            yield Sketch(section, f"front-{name}", f"Accuracy against {name}", reason=reason)
        for pool, table in found.items():
            state = f"; {pool}" if len(found) > 1 else ""
            on_front = ", ".join(table.loc[table["on_front"], "label"].tolist())
            yield Sketch(
                section,
                f"front-{name}" + (f"-{plain(pool)}" if state else ""),
                f"Accuracy with its 95 % interval against {axis_label} ({note}{state}). No other is more accurate at "
                f"the same cost or less: {on_front}.",
                lambda table=table, axis_label=axis_label, state=state: draw_front(table, axis_label, note + state),
            )


def _anytime(material: Material, dataset: str) -> Sketch:
    section, name = "Accuracy at every budget", "anytime"
    if dataset not in material.sweeps:
        reason = "no sweep among the runs; `jsma-bench sweep --save RUNS/sweep` writes one"
        return Sketch(section, name, "Anytime curves", reason=reason)
    table = frames.anytime(material.sweeps[dataset])
    note = (
        f"{dataset}: n = {table['slides'].max()} test slides, {table['trainings'].max()} trainings, "
        f"{table['draws'].max()} sampling seeds"
    )
    caption = (
        f"Trained once, evaluated at every number of patches ({note}). Band: standard deviation over sampling seeds; "
        "dotted: a strategy that knows no budget."
    )
    return Sketch(section, name, caption, lambda: draw_anytime(table, note))


def _stages(part: Part, note: str, no_seconds: bool) -> Iterator[Sketch]:
    section, table = "Where the time goes", frames.stages(part)
    if no_seconds or table.empty:
        yield Sketch(section, "stages", "Stages", reason=NO_SECONDS if no_seconds else "no stage was timed")
        return
    for column, axis_label, said in (
        ("seconds", "inference, mean seconds a slide", "Mean inference seconds a slide, by stage"),
        ("share", "share of inference seconds", "The same as shares"),
    ):
        yield Sketch(
            section,
            f"stages-{column}",
            f"{said} ({note}). The stages are exclusive and sum to the wall clock.",
            lambda column=column, axis_label=axis_label: draw_stages(table, column, axis_label, note),
        )


def _areas(part: Part, note: str, no_seconds: bool) -> Iterator[Sketch]:
    section = "Cost against the size of the slide"
    for cost, name, axis_label in (
        ("seconds", "area-seconds", "inference, seconds a slide"),
        ("decoded_px", "area-megapixels", "decoded, megapixels a slide"),
    ):
        if cost == "seconds" and no_seconds:
            yield Sketch(section, name, "Seconds against area", reason=NO_SECONDS)
            continue
        found = frames.area(part, cost)
        sizes = max((table["area_mpx"].nunique() for *_, table, _ in found), default=0)
        if all(slope is None for *_, slope in found):
            reason = f"a slope needs slides of at least 3 sizes, the largest twice the smallest; {sizes} here"
            yield Sketch(section, name, f"{axis_label} against area", reason=reason)
            continue
        yield Sketch(
            section,
            name,
            f"One dot a slide ({note}, {sizes} sizes), lines fitted on logarithms, slope with 95 % interval: 1 grows "
            "as the slide does, 0 not at all.",
            lambda found=found, axis_label=axis_label: draw_area(found, axis_label, note),
        )


def _curves(part: Part, no_seconds: bool) -> Sketch:
    section, name = "Training against the clock", "training"
    found = [] if no_seconds else frames.curves(part)
    if not found:
        return Sketch(section, name, "Training curves", reason=NO_SECONDS if no_seconds else "no run has a curve")
    fewer = ", ".join(f"{label} {used} of {there}" for label, _, _, used, there in found if used < there)
    note = f"{part.dataset}: n = {sum(used for *_, used, _ in found)} trainings"
    caption = (
        f"Validation accuracy, mean over trainings, against seconds as charged ({note}; those of each in the legend)"
        + (f" (evenly chosen: {fewer})" if fewer else "")
        + ". Strategies with several candidates train them one after the other."
    )
    return Sketch(section, name, caption, lambda: draw_curves(found, note))


def _magnifications(part: Part) -> Iterator[Sketch]:
    section, any_drawn = "Magnification by class", False
    for entry in part.entries:
        table = frames.magnifications(entry)
        if table is None:
            continue
        any_drawn = True
        note = f"{entry.name}: n = {len(entry.rows):,} predictions"
        yield Sketch(
            section,
            f"magnification-{plain(entry.name)}",
            f"Mean probability of each magnification by true class, {entry.name} (n = {len(entry.rows):,} "
            f"predictions of {part.dataset}).",
            lambda table=table, note=note: draw_magnifications(table, note),
        )
    if not any_drawn:
        yield Sketch(section, "magnification", section, reason="no strategy here draws from several magnifications")
