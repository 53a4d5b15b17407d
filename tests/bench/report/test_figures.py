"""What is drawn is what the table says: frames beside rows, and bars, dots and lines beside frames."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from baselines import STRATEGIES
from bench.analysis.rows import compare, magnification_by_class
from bench.analysis.statistics.costs import pareto
from bench.report.figures import frames
from bench.report.figures.all_figures import draw_all, sketches
from bench.report.figures.cost import draw_area, draw_front, draw_speedups, draw_stages
from bench.report.figures.learning import draw_anytime, draw_curves, draw_magnifications
from bench.report.figures.style import CONTROLS, colour, marker, palette, plain_ticks
from bench.report.material import gather
from bench.report.page.build import build
from bench.report.page.page import Commands
from bench.runs.settings.strategies import strategy_class


@pytest.fixture(scope="module")
def rows(material):
    return {row["strategy"]: row for row in compare(material.runs)}


def widths(axis):
    return [bar.get_width() for bar in axis.patches]


def test_speedup_bars_end_at_the_rows_value(material, rows):
    keys = frames.speedup_keys(material.parts[0])
    assert "train_speedup_vs_everything" in keys and "inference_speedup_vs_everything" in keys
    for key in keys:
        table = frames.speedups(material.parts[0], key)
        assert table["label"].tolist() == list(rows)
        assert table["value"].tolist() == [row[key] for row in rows.values()]
        axis = draw_speedups(table, "x", "n").axes[0]
        assert [1 + w for w in widths(axis)] == pytest.approx(table["value"].tolist())
        ends = [tuple(line.get_segments()[0][:, 0]) for line in axis.collections if hasattr(line, "get_segments")]
        known = [(row[f"{key}_low"], row[f"{key}_high"]) for row in rows.values() if row[f"{key}_low"] is not None]
        assert np.array(ends) == pytest.approx(np.array(known))


@pytest.mark.parametrize("cost", [cost for cost in frames.COSTS if "_j_" not in cost])
def test_points_of_a_front_are_the_rows(material, rows, cost):
    table = frames.front(material.parts[0], cost)
    assert {r["label"]: (r["cost"], r["accuracy"], r["low"], r["high"]) for r in table.to_dict("records")} == {
        name: (row[cost], row["accuracy"], row["accuracy_low"], row["accuracy_high"]) for name, row in rows.items()
    }
    assert table.loc[table["on_front"], "label"].tolist() == pareto(list(rows.values()), cost)
    axis = draw_front(table, "x", "n").axes[0]
    dots = {c.get_label(): c.lines[0].get_xydata()[0].tolist() for c in axis.containers}
    assert dots == {name: [row[cost], row["accuracy"]] for name, row in rows.items()}


def test_stage_bars_sum_to_the_seconds_of_the_table(material, rows):
    table = frames.stages(material.parts[0])
    for name, own in table.groupby("label"):
        assert own["seconds"].sum() == pytest.approx(rows[name]["inference_s_per_slide"])
        assert own["share"].sum() == pytest.approx(1)
    axis = draw_stages(table, "seconds", "s", "n").axes[0]
    ends = {round(bar.get_y() + bar.get_height() / 2): bar.get_x() + bar.get_width() for bar in axis.patches}
    assert list(ends.values()) == pytest.approx([row["inference_s_per_slide"] for row in rows.values()])


def test_area_dots_are_slides_and_the_line_is_the_fit(material):
    found = frames.area(material.parts[0], "decoded_px")
    for _, name, table, slope in found:
        own = pd.concat([run.predictions for run in material.runs if run.strategy == name])
        assert table["cost"].mean() * 1e6 == pytest.approx(own.groupby("slide")["decoded_px"].mean().mean())
        assert slope.exponent == pytest.approx(1) and (slope.n, slope.sizes) == (20, 5)  # made up as patches x area
    axis = draw_area(found, "Mpx", "n").axes[0]
    assert len(axis.lines) == 2 * len(found) and "slope 1.00" in axis.lines[0].get_label()
    dots, line = axis.lines[:2]
    assert len(dots.get_xdata()) == 20 and line.get_ydata()[0] == pytest.approx(min(dots.get_ydata()))


def test_training_curves_are_the_stored_ones(material):
    found = frames.curves(material.parts[0])
    axis = draw_curves(found, "n").axes[0]
    for (_, name, table, used, there), line in zip(found, axis.lines, strict=True):
        stored = [pd.read_parquet(r.path / "curve.parquet") for r in material.runs if r.strategy == name]
        assert used == there == len(stored) == 2
        assert table["mean"].iloc[-1] == pytest.approx(np.mean([c["val_accuracy"].iloc[-1] for c in stored]))
        assert line.get_ydata().tolist() == table["mean"].tolist() and f"(n = {used})" in line.get_label()


def test_of_thousands_of_curves_a_few_are_read():
    shown = frames.shown_runs(list(range(5000)))
    assert len(shown) == frames.MOST_CURVES and (shown[0], shown[-1]) == (0, 4999)


def test_magnification_bars_are_the_means_by_class(material):
    entries = {entry.name: entry for entry in material.parts[0].entries}
    assert frames.magnifications(entries["exhaustive"]) is None
    table = frames.magnifications(entries["jsma"])
    means = magnification_by_class(material.runs, "jsma")
    axis = draw_magnifications(table, "n").axes[0]
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == pytest.approx([float(v) for column in means.columns for v in means[column]])


def test_anytime_lines_are_the_sweeps_rows(material):
    sweep = material.sweeps["synthetic"]
    axis = draw_anytime(frames.anytime(sweep), "n").axes[0]
    for line in axis.lines:
        own = sweep[sweep["strategy"] == line.get_label()]
        assert line.get_xdata().tolist() == own["patches_per_slide"].tolist()
        assert line.get_ydata().tolist() == own["accuracy"].tolist()


def test_every_figure_says_n_and_names_its_axes(material):
    names, entries = [], {entry.name for entry in material.parts[0].entries}
    for sketch in sketches(material, material.parts[0]):
        if sketch.name == "front-joules":  # made-up runs were never measured: said, not drawn
            assert sketch.draw is None and "recorded before energy" in sketch.reason
            continue
        assert sketch.draw is not None, (sketch.name, sketch.reason)
        axis = sketch.draw().axes[0]
        names.append(sketch.name)
        assert "n = " in axis.get_title(loc="left") and "n = " in sketch.caption, sketch.name
        named = axis.get_ylabel() or axis.get_yticklabels()[0].get_text() in entries
        assert axis.get_xlabel() and named, sketch.name
    assert len(names) == len(set(names)) >= 14


def test_a_strategy_has_one_colour_whatever_is_beside_it():
    alone, together = palette(["jsma"]), palette(["overview", "mine", "jsma", "exhaustive"])
    assert alone["jsma"] == together["jsma"] and len(set(together.values())) == 4


def test_every_strategy_has_a_colour_and_marker_of_its_own_and_controls_are_grey():
    signs = {name: (colour(name), marker(name)) for name in STRATEGIES}
    assert len(set(signs.values())) == len(signs)
    controls = {name for name in STRATEGIES if strategy_class(name).told()}
    assert controls == set(CONTROLS) and len({colour(name) for name in controls}) == len(controls)
    assert not {colour(name) for name in controls} & {colour(name) for name in STRATEGIES if name not in controls}
    for name in controls:
        red, green, blue = to_rgb(colour(name))
        assert max(red, green, blue) - min(red, green, blue) < 0.06, name


def test_settings_are_rows_of_their_own(runs, other_settings, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.page.build.draw_all", lambda *_: [])
    both = gather([runs, other_settings], None, 0.02)
    (part,) = both.parts
    assert sorted(part.settings) == ["n_patches=16", "n_patches=8"]
    table = frames.front(part, "inference_s_per_slide")
    assert {"jsma[n_patches=8]", "jsma[n_patches=16]"} <= set(table["label"]) and len(table) == 8
    alone = {row["strategy"]: row for row in compare(gather([other_settings], None, 0.02).runs)}
    own = next(r for r in table.to_dict("records") if r["label"] == "jsma[n_patches=16]")
    assert own["cost"] == alone["jsma"]["inference_s_per_slide"]
    assert {row["settings"] for row in part.against} == {"n_patches=8", "n_patches=16"}
    build(both, tmp_path / "both", Commands("report", "run"))
    page = (tmp_path / "both" / "report.html").read_text()
    assert "2 different settings" in page and "jsma[n_patches=16]</th>" in page


def test_slides_of_one_size_have_no_slope_and_the_page_says_so(material, tmp_path, monkeypatch):
    for entry in material.parts[0].entries:
        monkeypatch.setitem(entry.__dict__, "rows", entry.rows.assign(area0_px=100))
    shown = [s for s in sketches(material, material.parts[0]) if s.name.startswith("area")]
    assert [s.draw for s in shown] == [None, None] and "1 here" in shown[0].reason
    monkeypatch.setattr("bench.report.figures.all_figures.sketches", lambda *_: shown)
    assert [s.svg for s in draw_all(material, material.parts[0], tmp_path)] == ["", ""]


def test_seconds_of_a_cold_cache_have_a_front_of_their_own(material, monkeypatch):
    part = material.parts[0]
    for row, cache in zip(part.rows, ("cold", "warm", "warm", "cold"), strict=True):
        monkeypatch.setitem(row, "cache", cache)
    assert [len(table) for table in frames.fronts(part, "inference_s_per_slide").values()] == [2, 2]
    assert [len(table) for table in frames.fronts(part, "patches_per_slide").values()] == [4]
    names = [sketch.name for sketch in sketches(material, part)]
    assert "front-seconds-synthetic-cold" in names and "front-seconds-synthetic-warm" in names


@pytest.mark.parametrize("span", ((0.06, 0.8), (0.55, 1.2), (0.01, 0.3), (0.02, 300.0)))
def test_labels_of_a_log_axis_are_plain_and_apart(span):
    figure, axis = plt.subplots(figsize=(4.5, 3))
    axis.set_xscale("log")
    axis.set_xlim(*span)
    plain_ticks(axis, "x")
    figure.canvas.draw()
    labels = [
        t for t in axis.get_xticklabels(which="both") if t.get_text() and span[0] <= t.get_position()[0] <= span[1]
    ]
    boxes = [label.get_window_extent() for label in labels]
    plt.close(figure)
    assert len(labels) >= 2 and not any("^" in label.get_text() for label in labels)
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
