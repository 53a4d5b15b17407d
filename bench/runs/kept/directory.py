"""Run directories: named by the hash of what decides the result, written aside and renamed when complete."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pandas as pd

from bench.errors import DamagedRunError
from bench.files import remove_leftovers, sync, write_bytes, write_with
from bench.runs.kept.environment import environment
from bench.runs.kept.identity import RunKey, flat, in_force, plain
from bench.runs.kept.record import Record, describe_damage, digest, read_run, seal
from bench.runs.layout import DAMAGED, ENVIRONMENT, FILES, PARTIAL, SETTINGS, STATUS
from bench.runs.observed.energy import meter_of


class RunDirectory:
    """One run on disk: `<out>/<name>` when complete, `<out>/<name>.partial` before.

    Every file is written aside, synced and renamed. Its size and SHA-256 are kept: in FILES while the run is not
    complete, then in STATUS. Only the process that has claimed the run (`bench.claims`) writes.

    Attributes:
        out: The folder of all runs.
        key: What decides the run; its name is that of the directory.
        final: Where the complete run lies.
        partial: Where the run is written before it is complete.
    """

    def __init__(self, out: Path, key: RunKey):
        self.out, self.key, self.partial = out, key, out / f"{key.name}{PARTIAL}"
        places = [out / name for name in (key.name, *key.former_names)]
        self.final = next((path for path in places if path.exists()), places[0])

    @property
    def complete(self) -> bool:
        """Whether the run has finished, be it sound or not."""
        return self.final.exists()

    @property
    def is_sound(self) -> bool:
        """Whether the run has finished and can be read back."""
        try:
            return self.complete and self.check() is None
        except DamagedRunError:
            return False

    def check(self) -> None:
        """Check that the complete run can be read back, and that its settings are those of its name.

        Raises:
            DamagedRunError: It cannot, or they are not.
        """
        found = read_run(self.final, swept=False)  # a sweep is made anew without training again
        if isinstance(found, DamagedRunError):
            raise found
        own, stored = dict(flat(plain(self.key.settings))), dict(flat(in_force(found.key)))
        other = [path for path in own if path in stored and path[0] != "tuned" and own[path] != stored[path]]
        if other:
            name = ".".join(other[0])
            raise describe_damage(self.final, f"{name} is {stored[other[0]]!r}, and of this name {own[other[0]]!r}")

    def set_aside(self) -> Path:
        """Rename the complete run, which is damaged, so that it is in nobody's way; returns where it lies now."""
        names = [self.final.with_name(f"{self.final.name}{DAMAGED}{n}") for n in ("", *range(1, 1000))]
        free = next(path for path in names if not path.exists())
        os.rename(self.final, free)
        self.final = self.out / self.key.name
        return free

    def start(self) -> Path:
        """The partial folder, made if need be."""
        self.partial.mkdir(parents=True, exist_ok=True)
        return self.partial

    def write(self, name: str, content: bytes) -> None:
        """Write a file to the partial folder, whole or not at all."""
        self.write_with(name, lambda handle: handle.write(content))

    def write_with(self, name: str, write: Callable[[IO[bytes]], Any]) -> None:
        """What `write` writes to a binary file, to the partial folder, whole or not at all."""
        path = self.start() / name
        write_with(path, write)
        files = {**self._files(), name: digest(path.read_bytes())}
        write_bytes(self.partial / FILES, _json(files))

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` to the partial folder."""
        self.write(name, _json(value))

    def write_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write rows as Parquet to the partial folder."""
        self.write_with(name, lambda handle: pd.DataFrame(rows).to_parquet(handle, index=False))

    def read(self, name: str) -> bytes | None:
        """A file of the partial folder as it was written; None where it is not there, was cut or was changed."""
        try:
            content = (self.partial / name).read_bytes()
        except OSError:
            return None
        return content if self._files().get(name) == digest(content) else None

    def read_json(self, name: str) -> dict[str, Any] | None:
        """What `write_json` wrote to the partial folder; None where it is not there, was cut or was changed."""
        content = self.read(name)
        return None if content is None else json.loads(content)

    def _files(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found = json.loads((self.partial / FILES).read_bytes())
            return found if isinstance(found, dict) else {}
        with suppress(DamagedRunError):  # killed just before it was renamed: its record has them
            return Record.of(self.partial).status.get("files", {})
        return {}

    def finish(self, status: dict[str, Any]) -> None:
        """Mark the run as complete and rename its folder. A run that another process has finished meanwhile stays."""
        self.write_json(SETTINGS, self.key.record())
        energy = meter_of(str(self.key.settings.get("device", "cpu"))).described
        self.write_json(ENVIRONMENT, {**environment(), "energy": energy})
        remove_leftovers(self.partial)
        known = self._files()
        files = {
            path.name: known.get(path.name) or digest(path.read_bytes())
            for path in sorted(self.partial.iterdir())
            if path.name not in (FILES, STATUS)
        }
        write_bytes(self.partial / STATUS, _json(seal({**status, "finished": time.time(), "files": files})))
        if self.final.exists():
            shutil.rmtree(self.partial)
            return
        (self.partial / FILES).unlink()
        os.rename(self.partial, self.final)
        sync(self.out)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, default=str).encode()
