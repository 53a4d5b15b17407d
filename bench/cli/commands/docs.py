"""`jsma-bench docs FILE ...`: tables and pictures of documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UsageError
from bench.files import writing


def docs(
    documents: Annotated[list[Path], typer.Argument(help="Markdown files, such as README.md docs/gpu.md.")],
) -> None:
    """For contributors: fill the tables of documents from results/ again, and draw their stale pictures."""
    for document in documents:
        if not os.path.isfile(document):
            raise UsageError(f"{document}: no such file; give Markdown files, such as README.md")
    from bench.report.documents import main

    for document in documents:
        try:
            with writing({"FILE": document.parent}):
                main([str(document)])
        except (FileNotFoundError, ValueError) as error:  # no text, a table that is not there, one that nothing draws
            raise error if isinstance(error, UsageError) else UsageError(f"{document}: {error}") from error
