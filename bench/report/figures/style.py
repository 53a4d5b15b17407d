"""How figures look: one colour and marker a strategy in all of them, and files for paper and page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import library

from baselines import STRATEGIES
from bench.report.figures.letters import list_families

INK, PAPER, RULE = "#1b1c1d", "#fefdfc", "#d5d6d7"  # told apart from every other colour: the page exchanges them
WIDTH_IN, HEIGHT_IN, DPI = 4.8, 3.5, 200
MARKERS, OWN_MARKERS = "osD^vPX*<>", "hpH8d"
_STRONG = ("jsma", "exhaustive", "exhaustive-all", "fixed", "search", "random", "overview")
_KNOWN = (*_STRONG, *(name for name in STRATEGIES if name not in _STRONG))
CONTROLS = {"oracle": ("#5f6368", "*"), "candidates": ("#80868b", "d")}
"""Those that are handed what no slide shows: grey, so that none is taken for a method, each with its own marker."""
SAFE_COLOURS = {
    "blue": "#0173b2",
    "red": "#d55e00",
    "orange": "#de8f05",
    "green": "#029e73",
    "pink": "#cc78bc",
    "grey": "#949494",
    "sky": "#56b4e9",
    "brown": "#ca9161",
    "pale pink": "#fbafe4",
    "yellow": "#ece133",
}
"""The palette "colorblind" of seaborn, the pale ones last. seaborn itself takes a second to load."""


def palette(strategies: Sequence[str]) -> dict[str, str]:
    """Colour of each strategy: always the same, whatever else is shown; one's own takes one of the last by its name."""
    return {name: colour(name) for name in strategies}


def colour(strategy: str) -> str:
    """Of one strategy, as in `palette`."""
    if strategy in CONTROLS:
        return CONTROLS[strategy][0]
    colours = list(SAFE_COLOURS.values())
    return colours[_place(strategy, len(_STRONG), len(colours))]


def marker(strategy: str) -> str:
    """A second sign for those who do not see the colours."""
    if strategy in CONTROLS:
        return CONTROLS[strategy][1]
    if strategy not in _KNOWN:
        return OWN_MARKERS[_place(strategy, 0, len(OWN_MARKERS))]
    turn, place = divmod(_KNOWN.index(strategy), len(MARKERS))  # the colours come round as often: another pairing
    return MARKERS[(place + turn) % len(MARKERS)]


def _place(strategy: str, first: int, n: int) -> int:
    if strategy in _KNOWN:
        return _KNOWN.index(strategy) % n
    return first + crc32(strategy.encode()) % (n - first)


@contextmanager
def theme(name: str) -> Iterator[None]:
    """Settings of one figure; name: salts the identifiers in its SVG, which is the same each time."""
    rc = {
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "grid.color": RULE,
        "legend.facecolor": PAPER,
        "legend.frameon": False,
        "patch.edgecolor": PAPER,
        "patch.force_edgecolor": True,
        "font.size": 10,
        "axes.titlesize": 9,
        "axes.labelsize": 10,
        "legend.fontsize": 9,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "text.parse_math": False,
        "font.family": list_families(),
    }
    settings: Any = {**library["seaborn-v0_8-whitegrid"], **rc}
    with matplotlib.rc_context(settings):
        yield


def make_sheet(note: str, height_in: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """An empty figure as wide as a phone reads it; note: what n is, above the axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axis = figure.subplots()
    axis.set_title(note, loc="left", color=INK)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def legend_below(figure: Figure, axis: Axes, columns: int = 3) -> None:
    """The legend under the axes, each entry once."""
    handles, labels = axis.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    columns = 1 if max(map(len, once), default=0) > 40 else min(columns, max(len(once), 1))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=columns)


def plain_ticks(axis: Axes, which: str) -> None:
    """1, 10, 100 in place of powers; 2 and 5 between where the axis spans little, every digit where it spans less."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    one: Any = getattr(axis, f"{which}axis")
    low, high = getattr(axis, f"get_{which}lim")()
    if low > 0:
        decades = math.log10(high / low)
        between = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
        one.set_major_locator(LogLocator(subs=tuple(range(1, 10)) if decades < 0.6 else between))
    one.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    one.set_minor_formatter(NullFormatter())


def write(figure: Figure, folder: Path, name: str) -> str:
    """Save name.png and name.svg; returns the SVG for the page (`inline`).

    The canvases write the files: `savefig` would draw twice for each of them.
    """
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(folder / f"{name}.png")
    figure.set_layout_engine("none")  # laid out once, not again for the next file
    text = io.StringIO()
    metadata: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}
    FigureCanvasSVG(figure).print_svg(text, metadata=metadata)
    (folder / f"{name}.svg").write_text(text.getvalue())
    return inline(text.getvalue(), name)


def inline(svg: str, name: str) -> str:
    """An SVG to stand in a page: no prologue, identifiers of its own, ink and paper of the page's light or dark."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', lambda m: f"{m[0]}{name}-", svg)
    for colour, variable in ((INK, "ink"), (PAPER, "paper"), (RULE, "rule")):
        svg = svg.replace(colour, f"var(--{variable})")
    head, rest = svg.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", head) + ">" + rest
