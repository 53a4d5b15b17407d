"""`jsma-bench features ...`: what a folder of features holds; it parses and prints, nothing else."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.commands.data import print_rows
from bench.errors import PARTIAL, UsageError
from bench.options import AsJson

features_app = typer.Typer(no_args_is_help=True, help="Features kept by `run --features DIR`: list, verify, prune.")
Folder = Annotated[Path, typer.Argument(help="The folder that --features named.")]
GB, DAY_S = 1e9, 86400.0


@features_app.command("list")
def list_(folder: Folder, as_json: AsJson = False) -> None:
    """What is kept, for each encoder."""
    from bench.runs.features.folder import known_folder, list_encoders

    rows = list_encoders(known_folder(folder))
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        row["used"] = datetime.fromtimestamp(row["used"]).strftime("%Y-%m-%d %H:%M")
        row["GB"] = f"{row.pop('bytes') / GB:.3g}"
        row["kB/feature"] = f"{(row.pop('bytes_per_1000') or 0) / 1e6:.3g}"
        row["machines"] = len(row["machines"])
    print_rows(rows)


@features_app.command("verify")
def verify(folder: Folder) -> None:
    """Read every feature and compare it with the checksum that was written with it; exit code 3 if one differs."""
    from bench.runs.features.folder import known_folder, verify_files

    sound, wrong = 0, 0
    for _, error in verify_files(known_folder(folder)):
        sound, wrong = sound + (error is None), wrong + (error is not None)
        if error is not None:
            print(f"damaged: {error}; remove this file, and its features are computed again", file=sys.stderr)
    print(f"{sound} files are as they were written, {wrong} are not")
    if wrong:
        raise typer.Exit(PARTIAL)


@features_app.command("prune")
def prune(
    folder: Folder,
    older_than: Annotated[
        float | None, typer.Option(min=0, help="DAYS: remove features of slides that nobody used for so long.")
    ] = None,
    max_gb: Annotated[
        float | None, typer.Option(min=0, help="Remove what was used longest ago until no more than this is left.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Make room. Runs that are under way go on, and compute again what they lack."""
    from bench.runs.features.folder import choose_unused, known_folder, remove, slide_folders

    if older_than is None and max_gb is None:
        raise UsageError("nothing says what to remove; give --older-than DAYS or --max-gb GB")
    days_s = None if older_than is None else DAY_S * older_than
    chosen = choose_unused(known_folder(folder), days_s, None if max_gb is None else GB * max_gb)
    if not dry_run:
        remove(chosen)
    gone, all_bytes = sum(slide.size_bytes for slide in chosen), sum(s.size_bytes for s in slide_folders(folder))
    left = all_bytes - gone if dry_run else all_bytes
    done = "would be removed" if dry_run else "removed"
    print(f"features of {len(chosen)} slides {done}, {gone / GB:.3g} GB; {left / GB:.3g} GB are left")
