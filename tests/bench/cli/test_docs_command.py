"""`jsma-bench docs` fills the tables of a document, and says in a line what it cannot fill."""

import pytest

from bench import cli


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["jsma-bench", "docs", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code


def test_a_table_is_filled(tmp_path, monkeypatch):
    (tmp_path / "t.md").write_text("| 1 |\n")
    page = tmp_path / "page.md"
    page.write_text("<!-- table: t.md -->\n| a |\n<!-- end -->")
    assert run(monkeypatch, page) == 0 and "| 1 |" in page.read_text()


@pytest.mark.parametrize(
    "content", (None, b"\xff\xfe\x00", b"<!-- table: gone.md -->\n<!-- end -->"), ids=("no file", "no text", "no table")
)
def test_what_cannot_be_filled_is_one_line(content, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    if content is not None:
        page.write_bytes(content)
    assert run(monkeypatch, page) == 2
    said = capsys.readouterr().err
    assert str(page) in said and said.count("\n") == 1
    assert content is None or page.read_bytes() == content
