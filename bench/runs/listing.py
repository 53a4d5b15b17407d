"""Rows for `jsma-bench list`. Strategies are read from the text of their files: loading torch would take seconds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import baselines
from baselines import STRATEGIES
from bench.errors import UsageError

HOME = Path(baselines.__file__).parent
WHAT = ("strategies", "datasets", "readers", "runs")


def list_rows(what: str, out: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of one list.

    Args:
        what: One of WHAT.
        out: The folder of the runs.

    Returns:
        The rows, and a line for each damaged run.

    Raises:
        UsageError: There is no such list.
    """
    if what == "runs":
        from bench.runs.kept.finished import load_all

        found = load_all([out])
        return [
            {"run": r.path.name, "dataset": r.dataset, "strategy": r.strategy, "fold": r.fold, "seed": r.seed}
            for r in found.runs
        ], found.damaged
    return _list_known(what), []


def _list_known(what: str) -> list[dict[str, Any]]:
    if what == "strategies":
        return [_describe_strategy(name) for name in STRATEGIES]
    if what == "datasets":
        from bench.datasets import DATASETS, source_named

        return [{"name": name, "title": source_named(name)[0].card.title} for name in DATASETS]
    if what == "readers":
        from jsma.slides.readers import READERS, reader_named

        return [{"name": name, "description": reader_named(name).description} for name in READERS]
    raise UsageError(f"list {what!r}; allowed: {', '.join(WHAT)}")


def _describe_strategy(name: str) -> dict[str, Any]:
    module, cls = STRATEGIES[name].split(":")
    found = _read_constants(module, cls)
    evidence = {None: "", "annotation": "uses evidence", "sites": "knows the sites"}  # as `Strategy.told`
    kind = found.get("evidence_from", "annotation") if found.get("uses_evidence") else None
    return {"name": name, "source": found["source"], "evidence": evidence[kind]}


def _read_constants(module: str, cls: str) -> dict[str, Any]:
    """Attributes of a class of `baselines` that are written as constants, with those of its bases."""
    tree = ast.parse((HOME / f"{'/'.join(module.split('.')[1:])}.py").read_text(encoding="utf-8"))
    home = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("baselines.")
        for alias in node.names
        if node.module
    }
    own = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if cls not in own:
        return _read_constants(home[cls], cls) if cls in home else {}
    found: dict[str, Any] = {}
    for base in reversed(own[cls].bases):
        found |= _read_constants(module, base.id) if isinstance(base, ast.Name) else {}
    for node in own[cls].body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node.value.value for target in targets if isinstance(target, ast.Name)}
    return found
