"""What is drawn is what the table says: frames beside rows, and bars, dots and lines beside frames."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from baselines import STRATEGIES
from bench.analysis.columns.results import COSTS
from bench.analysis.fronts import pareto
from bench.analysis.metrics import magnification_by_class
from bench.analysis.rows import compare
from bench.report.figures.all_figures import FIGURES, collect_data, draw_figure
from bench.report.figures.anytime import Anytime
from bench.report.figures.areas import Area, fit_lines
from bench.report.figures.base import NotDrawn
from bench.report.figures.fronts import Front, FrontData, tabulate_front, tabulate_fronts
from bench.report.figures.magnifications import Magnifications, tabulate_magnifications
from bench.report.figures.speedups import Speedups
from bench.report.figures.stages import Stages
from bench.report.figures.style import CONTROLS, colour, marker, palette, plain_ticks
from bench.report.figures.training import MOST_CURVES, TrainingCurves, choose_runs
from bench.report.material import gather
from bench.report.page.build import build
from bench.report.page.page import Commands
from bench.runs.settings.strategies import strategy_class


@pytest.fixture(scope="module")
def rows(material):
    return {row["strategy"]: row for row in compare(material.runs)}


def widths(axis):
    return [bar.get_width() for bar in axis.patches]


def draw(figure, material, name=""):
    """The axes of one drawing of a figure, and its data."""
    part = material.parts[0]
    data = figure.collect_data(material, part)[name]
    return figure.draw(part, data).axes[0], data


def test_speedup_bars_end_at_the_rows_value(material, rows):
    found = Speedups().collect_data(material, material.parts[0])
    assert {"training-everything", "inference-everything"} <= set(found)
    for name, data in found.items():
        what, opponent = name.split("-")
        key = f"{'train' if what == 'training' else what}_speedup_vs_{opponent}"
        assert data.table["label"].tolist() == list(rows)
        assert data.table["value"].tolist() == [row[key] for row in rows.values()]
        axis, _ = draw(Speedups(), material, name)
        assert [1 + w for w in widths(axis)] == pytest.approx(data.table["value"].tolist())
        ends = [tuple(line.get_segments()[0][:, 0]) for line in axis.collections if hasattr(line, "get_segments")]
        known = [(row[f"{key}_low"], row[f"{key}_high"]) for row in rows.values() if row[f"{key}_low"] is not None]
        assert np.array(ends) == pytest.approx(np.array(known))


@pytest.mark.parametrize("cost", [cost for cost in COSTS if cost != "joules"])
def test_points_of_a_front_are_the_rows(material, rows, cost):
    key = COSTS[cost].key
    table = tabulate_front(material.parts[0], key)
    assert {r["label"]: (r["cost"], r["accuracy"], r["low"], r["high"]) for r in table.to_dict("records")} == {
        name: (row[key], row["accuracy"], row["accuracy_low"], row["accuracy_high"]) for name, row in rows.items()
    }
    assert table.loc[table["on_front"], "label"].tolist() == pareto(list(rows.values()), key)
    axis = Front(COSTS[cost]).draw(material.parts[0], FrontData("", table)).axes[0]
    dots = {c.get_label(): c.lines[0].get_xydata()[0].tolist() for c in axis.containers}
    assert dots == {name: [row[key], row["accuracy"]] for name, row in rows.items()}


def test_stage_bars_sum_to_the_seconds_of_the_table(material, rows):
    axis, data = draw(Stages(), material, "seconds")
    for name, own in data.table.groupby("label"):
        assert own["seconds"].sum() == pytest.approx(rows[name]["inference_s_per_slide"])
        assert own["share"].sum() == pytest.approx(1)
    ends = {round(bar.get_y() + bar.get_height() / 2): bar.get_x() + bar.get_width() for bar in axis.patches}
    assert list(ends.values()) == pytest.approx([row["inference_s_per_slide"] for row in rows.values()])


def test_area_dots_are_slides_and_the_line_is_the_fit(material):
    axis, found = draw(Area("decoded_px", "megapixels", "Mpx", timed=False), material)
    for line in found:
        own = pd.concat([run.predictions for run in material.runs if run.strategy == line.strategy])
        assert line.table["cost"].mean() * 1e6 == pytest.approx(own.groupby("slide")["decoded_px"].mean().mean())
        assert line.slope.exponent == pytest.approx(1)  # made up as patches x area
        assert (line.slope.n, line.slope.sizes) == (20, 5)
    assert len(axis.lines) == 2 * len(found) and "slope 1.00" in axis.lines[0].get_label()
    dots, line = axis.lines[:2]
    assert len(dots.get_xdata()) == 20 and line.get_ydata()[0] == pytest.approx(min(dots.get_ydata()))
    assert [one.label for one in found] == [one.label for one in fit_lines(material.parts[0], "seconds")]


def test_training_curves_are_the_stored_ones(material):
    axis, found = draw(TrainingCurves(), material)
    for one, line in zip(found, axis.lines, strict=True):
        stored = [pd.read_parquet(r.path / "curve.parquet") for r in material.runs if r.strategy == one.strategy]
        assert one.used == one.there == len(stored) == 2
        assert one.table["mean"].iloc[-1] == pytest.approx(np.mean([c["val_accuracy"].iloc[-1] for c in stored]))
        assert line.get_ydata().tolist() == one.table["mean"].tolist() and f"(n = {one.used})" in line.get_label()


def test_of_thousands_of_curves_a_few_are_read():
    shown = choose_runs(list(range(5000)))
    assert len(shown) == MOST_CURVES and (shown[0], shown[-1]) == (0, 4999)


def test_magnification_bars_are_the_means_by_class(material):
    entries = {entry.name: entry for entry in material.parts[0].entries}
    assert tabulate_magnifications(entries["exhaustive"]) is None
    axis, _ = draw(Magnifications(), material, "jsma")
    means = magnification_by_class(entries["jsma"].rows)
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == pytest.approx([float(v) for column in means.columns for v in means[column]])


def test_anytime_lines_are_the_sweeps_rows(material):
    sweep = material.sweeps["synthetic"]
    axis, _ = draw(Anytime(), material)
    for line in axis.lines:
        own = sweep[sweep["strategy"] == line.get_label()]
        assert line.get_xdata().tolist() == own["patches_per_slide"].tolist()
        assert line.get_ydata().tolist() == own["accuracy"].tolist()


def test_every_figure_says_n_and_names_its_axes(material):
    part, names = material.parts[0], []
    entries = {entry.name for entry in part.entries}
    for figure in FIGURES:
        if figure.name == "front-joules":  # made-up runs were never measured: said, not drawn
            with pytest.raises(NotDrawn, match="recorded before energy"):
                figure.collect_data(material, part)
            continue
        for name, data in figure.collect_data(material, part).items():
            axis = figure.draw(part, data).axes[0]
            names.append(f"{figure.name}-{name}")
            assert "n = " in axis.get_title(loc="left") and "n = " in figure.write_caption(part, data), figure.name
            named = axis.get_ylabel() or axis.get_yticklabels()[0].get_text() in entries
            assert axis.get_xlabel() and named, figure.name
    assert len(names) == len(set(names)) >= 14


def test_seconds_of_several_machines_are_in_no_figure(material, monkeypatch):
    monkeypatch.setitem(material.__dict__, "no_seconds", True)
    timed = {figure.name for figure in FIGURES if figure.timed}
    assert timed == {"stages", "area-seconds", "training"}
    for figure in FIGURES:
        if figure.timed:
            with pytest.raises(NotDrawn, match="several machines"):
                collect_data(figure, material, material.parts[0])


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
    table = tabulate_front(part, "inference_s_per_slide")
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
    areas = [figure for figure in FIGURES if figure.name.startswith("area")]
    shown = [one for figure in areas for one in draw_figure(figure, material, material.parts[0], tmp_path)]
    assert [one.svg for one in shown] == ["", ""] and "1 here" in shown[0].reason


def test_seconds_of_a_cold_cache_have_a_front_of_their_own(material, monkeypatch):
    part = material.parts[0]
    for row, cache in zip(part.rows, ("cold", "warm", "warm", "cold"), strict=True):
        monkeypatch.setitem(row, "cache", cache)
    assert [len(table) for table in tabulate_fronts(part, "inference_s_per_slide").values()] == [2, 2]
    assert [len(table) for table in tabulate_fronts(part, "patches_per_slide").values()] == [4]
    found = Front(COSTS["seconds"]).collect_data(material, part)
    assert set(found) == {"synthetic-cold", "synthetic-warm"}


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
