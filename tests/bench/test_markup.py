"""Tables keep their cells apart, whatever letters a name has."""

from bench.markup import write_latex, write_markdown


def test_signs_of_a_table_in_a_name_do_not_break_it():
    lines = write_markdown(["class", "n"], [["a|b", "1"], ["c\nd", "20"]], numbers=[1]).splitlines()
    assert lines == ["| class   |   n |", "|:--------|----:|", r"| a\|b    |   1 |", "| c d     |  20 |"]


def test_numbers_stay_as_they_were_written():
    text = write_markdown(["n"], [["1.0"], ["2.000"], ["1,000"], ["-"]])
    assert [line.strip("| ") for line in text.splitlines()[2:]] == ["1.0", "2.000", "1,000", "-"]


def test_latex_is_escaped_and_has_the_rules_of_booktabs():
    text = write_latex(["share, 100%", "n"], [["a&b_{c}|\n$#", "1"]], numbers=[1])
    lines = [line.replace(" ", "") for line in text.splitlines()]
    assert lines[0] == r"\begin{tabular}{lr}" and lines[1] == r"\toprule" and lines[-2] == r"\bottomrule"
    assert lines[2] == r"share,100\%&n\\"
    assert lines[4] == r"a\&b\_\{c\}\textbar{}\$\#&1\\"


def test_a_table_without_rows_has_its_headings():
    assert write_markdown(["a", "b"], [], numbers=[1]).splitlines()[0].split() == ["|", "a", "|", "b", "|"]
