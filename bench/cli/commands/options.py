"""The options of a request, declared once for all commands that make runs, and read from a file where one is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from baselines import DEFAULT
from bench.options import (
    MEMORY,
    AcceptFindings,
    Data,
    DatasetName,
    Device,
    Features,
    Folds,
    Limit,
    Out,
    PresetName,
    Regime,
    Seeds,
    Set,
    Slides,
    Strategies,
    Wait,
    names,
    source,
)
from bench.runs.settings.assignment import Assignment
from bench.runs.settings.config_file import SET, read_assignments, read_options
from bench.runs.settings.request import Request

USUAL = ",".join(DEFAULT)


def _use_file(context: typer.Context, path: Path | None) -> Path | None:
    """Make what the file says the defaults of the command, so that the command line wins."""
    if path is not None and not context.resilient_parsing:
        options = {max(one.opts, key=len).lstrip("-"): one.name for one in context.command.params}
        allowed = options.keys() - {"config", "help", SET}
        context.default_map = {options[name]: value for name, value in read_options(path, allowed).items()}
    return path


Config = Annotated[
    Path | None,
    typer.Option(callback=_use_file, is_eager=True, help="YAML with these options; the command line wins."),
]


def _request(
    *,
    dataset: DatasetName = None,
    slides: Slides = None,
    strategies: Strategies = USUAL,
    preset: PresetName = "demo",
    seeds: Seeds = None,
    folds: Folds = 1,
    regime: Regime = None,
    device: Device = "cpu",
    out: Out = Path("runs"),
    data: Data = Path("data"),
    limit: Limit = None,
    wait: Wait = None,
    features: Features = MEMORY,
    settings: Set = None,
    config: Config = None,
    accept_findings: AcceptFindings = False,
) -> Request:
    """The request of these options, checked as far as that goes without torch."""
    given = [Assignment.parse(text) for text in settings or ()]
    request = Request(
        dataset=source(dataset, slides),
        slides=slides,
        strategies=names("--strategies", strategies),
        preset=preset,
        seeds=seeds,
        folds=folds,
        device=device,
        out=out,
        data=data,
        limit=limit,
        assignments=(*read_assignments(config), *given),
        regime=regime,
        accept_findings=accept_findings,
        wait_s=None if wait is None else 60 * wait,
        features=features,
    )
    request.check()
    return request


def with_request(command: Callable[..., None], strategies: str | None = None) -> Callable[..., None]:
    """`command` with the options of a request in place of its argument `request`.

    Args:
        command: Takes `request: Request` and options of its own.
        strategies: Default of `--strategies`, where it is not that of a run.
    """
    own = [p for name, p in inspect.signature(command, eval_str=True).parameters.items() if name != "request"]
    shared = list(inspect.signature(_request, eval_str=True).parameters.values())
    if strategies is not None:
        shared = [p.replace(default=strategies) if p.name == "strategies" else p for p in shared]
    names_of_request = {p.name for p in shared}

    @wraps(command)
    def asked(**given: Any) -> None:
        request = _request(**{name: value for name, value in given.items() if name in names_of_request})
        command(request, **{name: value for name, value in given.items() if name not in names_of_request})

    together = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
    asked.__signature__ = inspect.Signature(together)  # pyright: ignore[reportAttributeAccessIssue]
    asked.__annotations__ = {p.name: p.annotation for p in together}
    return asked
