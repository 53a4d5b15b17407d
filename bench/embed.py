"""Files embedded in documents: `python -m bench.embed README.md` fills its `table:` and `file:` blocks again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"(<!-- (table|file): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def embedded(text: str, root: Path) -> str:
    """`text` with every block filled: `table` = the first table of a Markdown file, `file` = a whole file."""

    def fill(match: re.Match[str]) -> str:
        source = (root / match[3]).read_text()
        return match[1] + (first_table(source) if match[2] == "table" else f"```python\n{source}```\n") + match[4]

    return BLOCK.sub(fill, text)


def first_table(markdown: str) -> str:
    """The first run of lines that start with a bar."""
    lines: list[str] = []
    for line in markdown.splitlines():
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    return "".join(f"\n{line}" for line in lines)[0:] + "\n\n" if lines else ""


def root_of(document: Path) -> Path:
    """The folder that names in `document` are relative to: the project's."""
    folders = document.resolve().parents
    return next((folder for folder in folders if (folder / "pyproject.toml").is_file()), folders[0])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        document = Path(name)
        document.write_text(embedded(document.read_text(), root_of(document)))
