"""No figure shows boxes in place of letters."""

import warnings

import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.letters import drawable, encode_letters, legend_of, list_families
from bench.report.figures.magnifications import MagnificationData, Magnifications
from bench.report.figures.style import theme, write
from bench.report.material import Part


def figure_of(classes) -> Figure:
    table = pd.DataFrame([{"class": c, "mpp": m, "p": 0.5} for c in classes for m in (0.5, 1.0)])
    return Magnifications().draw(Part("x", [], [], []), MagnificationData("jsma", 2, table))


def test_classes_in_chinese_are_drawn_or_coded_and_named(tmp_path):
    with theme("x"), warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each letter that it lacks
        figure = figure_of(["肝癌", "正常", "tumour"])
        codes = encode_letters(figure)
        text = write(figure, tmp_path, "x")
    if len(list_families()) == 1:  # no font of this kind is installed
        assert codes == {"#1": "肝癌", "#2": "正常"} and "#1" in text and "肝癌" not in text
        assert legend_of(codes) == " No font here has these letters: #1 is 肝癌; #2 is 正常."
    else:
        assert not codes and "肝癌" in text
    assert "tumour" in text


def test_letters_that_are_there_are_left_as_they_are():
    with theme("x"):
        assert encode_letters(figure_of(["Tumör", "β"])) == {} and legend_of({}) == ""
    assert drawable("µm/px Ä β") and not drawable("\U0001f9a0")
