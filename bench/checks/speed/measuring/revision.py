"""The code of another revision, unpacked for the length of a check."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.checks.speed.measuring.process import ROOT, Side
from bench.errors import NotComparableError, UsageError


def git(*arguments: str, root: Path = ROOT) -> bytes:
    """What git says; UsageError with its last line where it refuses."""
    try:
        ran = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True)
    except OSError as error:
        raise UsageError(f"git cannot be run ({error.strerror}); --against needs it") from error
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"git {' '.join(arguments)}: {lines[-1] if lines else ran.returncode}")
    return ran.stdout


def describe(root: Path = ROOT) -> str:
    """Commit of the working tree, with "-dirty" where it has changes; "unknown" outside a repository."""
    try:
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*", root=root).decode().strip()
    except UsageError:
        return "unknown"


@contextmanager
def revision(name: str, root: Path = ROOT) -> Iterator[Side]:
    """The code at revision `name` of the repository of `root`, in a folder that is removed at the end.

    `git archive` writes it, because unlike a worktree that leaves nothing in the repository, however the check ends.
    The code is pure Python, so that unpacking is all there is to building it. It runs on this interpreter and its
    packages.

    Raises:
        UsageError: there is no such revision.
        NotComparableError: the revision lacks `jsma` or `baselines`.
    """
    if name.startswith("-"):
        raise UsageError(f"--against {name!r}: not a revision; give a branch, a tag or a commit")
    try:
        commit = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", root=root).decode().strip()
    except UsageError as error:
        raise UsageError(
            f"--against {name}: no such revision in {root}; give a branch, a tag or a commit that was fetched"
        ) from error
    for package in ("jsma", "baselines"):
        try:
            git("cat-file", "-e", f"{commit}:{package}", root=root)
        except UsageError as error:
            raise NotComparableError(f"--against {name}: revision {commit[:12]} has no package {package}") from error
    with tempfile.TemporaryDirectory(prefix="jsma-revision-") as folder:
        with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", commit, root=root))) as archive:
            archive.extractall(folder, filter="data")
        yield Side(f"{name} ({commit[:12]})", Path(folder).resolve())
