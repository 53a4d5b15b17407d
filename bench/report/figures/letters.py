"""Letters of other scripts in figures: a font that has them where one is installed, else a code with a legend."""

from __future__ import annotations

from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

BASE = "DejaVu Sans"  # comes with matplotlib
WIDE = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "SimHei",
    "Arial Unicode MS",
    "Droid Sans Fallback",
)
"""Fonts with Chinese, Japanese and Korean letters, of which the first that is installed is used."""


@cache
def list_families() -> list[str]:
    """The fonts of every figure, in the order in which a letter is looked for."""
    installed = set(font_manager.get_font_names())
    return [BASE, *[name for name in WIDE if name in installed][:1]]


@cache
def _fonts() -> list[FT2Font]:
    return [font_manager.get_font(font_manager.findfont(name)) for name in list_families()]


@cache
def drawable(text: str) -> bool:
    """Whether each letter is in one of the `families`; else a figure would show boxes."""
    return all(c.isspace() or any(font.get_char_index(ord(c)) for font in _fonts()) for c in text)


def encode_letters(figure: Figure) -> dict[str, str]:
    """Put a code (`#1`, `#2`) for every text of the figure that no font can draw; returns code -> text."""
    codes: dict[str, str] = {}

    def shown(text: str) -> str:
        return text if drawable(text) else codes.setdefault(text, f"#{len(codes) + 1}")

    for axis in figure.axes:
        for one in (axis.xaxis, axis.yaxis):
            labels = [text.get_text() for text in one.get_ticklabels()]
            if not all(map(drawable, labels)):
                one.set_ticks(one.get_ticklocs(), [shown(text) for text in labels])
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(shown(text.get_text()))
    return {code: text for text, code in codes.items()}


def legend_of(codes: dict[str, str]) -> str:
    """What the codes stand for, as a sentence after a caption; "" where there are none."""
    if not codes:
        return ""
    return " No font here has these letters: " + "; ".join(f"{code} is {text}" for code, text in codes.items()) + "."
