"""`jsma-bench check`: it parses and prints."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from bench.errors import REGRESSION
from bench.options import AsJson


def check(
    strategies: Annotated[list[str], typer.Argument(help="Your own file.py:Class, or names of `list strategies`.")],
    as_json: AsJson = False,
) -> None:
    """Does a strategy keep the contract? One line a check; exit code 1 where one fails."""
    from bench.checks.contract import check_strategy
    from bench.runs.settings.strategies import strategy_class

    classes = [strategy_class(name, "check") for name in strategies]
    found = [finding for cls in classes for finding in check_strategy(cls)]
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        for finding in found:
            print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.strategy}  {finding.check}: {finding.detail}")
    if not all(finding.ok for finding in found):
        raise typer.Exit(REGRESSION)
