"""The parent's side of the decoding process: started once, shared by all slides, restarted after a crash."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jsma.slides import types
from jsma.slides.process.deaths import DiedError, death_error, limit_s, silence_error
from jsma.slides.process.folders import Folder
from jsma.slides.process.shared_memory import Segment, Segments
from jsma.slides.process.worker import CHATTER, Decoder, receive_message, send_message
from jsma.slides.readers.base import SourceSpec
from jsma.slides.types import SlideError

# glibc gives memory of a tile's size back to the system at once and takes it anew: a tenth of cuCIM's decoding
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


class Isolated:
    """Decoding in a child process. After a crash a new child is asked once more; a second crash is an error here."""

    def __init__(self, workers: int) -> None:
        self.workers, self.creator = workers, os.getpid()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._folder: Folder | None = None
        self.segments = Segments()
        self._mapped: set[int] = set()  # segments that the running child has mapped

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None before the first request."""
        return self._child.pid if self._child else None

    def _start(self) -> socket.socket:
        if self._sock is not None and self._child is not None and self._child.poll() is None:
            return self._sock
        self._drop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._folder = folder = Folder("jsma-slides-")  # cuCIM drops cufile.log where it runs
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **MALLOC}
        command = [
            sys.executable,
            "-m",
            "jsma.slides.process.worker",
            str(theirs.fileno()),
            str(os.getpid()),
            str(self.workers),
        ]
        self._sock = ours
        try:
            with open(os.path.join(folder.path, CHATTER), "ab") as chatter:
                self._child = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    cwd=folder.path,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=chatter,
                    stderr=chatter,
                )
        except OSError as error:
            self._drop()
            raise SlideError(f"the decoding process cannot be started ({error}); use in_process=True") from error
        finally:
            theirs.close()
        return ours

    def _drop(self) -> int | None:
        """Close the connection, end the child and remove its folder; return its exit code if it had one."""
        code = None
        if self._sock is not None:
            self._sock.close()
        if self._child is not None:
            try:
                code = self._child.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if self._folder is not None:
            self._folder.remove()
        self._sock, self._child, self._folder, self._mapped = None, None, None, set()
        return code

    def _ask(self, request: dict[str, Any], descriptor: int | None = None) -> Any:
        limit = limit_s()
        try:
            sock = self._start()
            sock.settimeout(limit)
            send_message(sock, request)
            if descriptor is not None:
                socket.send_fds(sock, [b"F"], [descriptor])
            answer = receive_message(sock)
        except TimeoutError as error:
            self._kill()
            raise silence_error(request["spec"], limit) from error
        except (EOFError, OSError) as error:
            raise DiedError(self._drop()) from error
        except BaseException:  # interrupted half-way: the conversation is out of step, so start afresh
            self._kill()
            raise
        if not answer["ok"]:
            raise getattr(types, answer["kind"])(answer["text"])
        return answer["value"]

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._drop()

    def _twice(self, spec: SourceSpec, ask: Callable[[], Any]) -> Any:
        """Call `ask()`, and once more in a new process if the first one died.

        A kill from outside says nothing of the file. A file that crashes its decoder does so again.
        """
        try:
            return ask()
        except DiedError:
            pass
        try:
            return ask()
        except DiedError as died:
            raise death_error(spec, died.code) from died

    def describe(self, spec: SourceSpec) -> dict[str, Any]:
        """Report levels and properties as the reader sees them."""
        with self._lock:
            return self._twice(spec, lambda: self._ask({"do": "describe", "spec": spec}))

    def read(self, spec: SourceSpec, plan: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Read the plan's regions, uint8 of `shape`, into memory that is shared with the child and never copied."""
        if os.getpid() != self.creator:  # forked: this connection and this child are the other process's
            return client(False, self.workers).read(spec, plan, shape)
        request: dict[str, Any] = {"do": "read", "spec": spec, "plan": plan, "shape": shape, "shared": None}
        size_bytes = int(np.prod(shape, dtype=np.int64))
        if not hasattr(os, "memfd_create"):
            return self._read_named(request, size_bytes)
        segment = self.segments.take(size_bytes)
        try:
            with self._lock:
                self._twice(spec, lambda: self._read_segment(request, segment))
        except BaseException:
            self.segments.discard(segment)
            raise
        return self.segments.array(segment, shape)

    def _read_segment(self, request: dict[str, Any], segment: Segment) -> None:
        self._start()  # a new child has mapped nothing yet
        new = segment.number not in self._mapped
        gone = self.segments.gone()
        self._mapped.difference_update(gone)
        request |= {"segment": segment.number, "bytes": segment.size_bytes, "new": new, "gone": gone}
        self._ask(request, segment.descriptor if new else None)
        self._mapped.add(segment.number)

    def _read_named(self, request: dict[str, Any], size_bytes: int) -> np.ndarray:
        from multiprocessing.shared_memory import SharedMemory

        memory = SharedMemory(create=True, size=size_bytes)
        try:
            with self._lock:
                self._twice(request["spec"], lambda: self._ask({**request, "shared": memory.name}))
            return np.array(np.ndarray(request["shape"], np.uint8, memory.buf))
        finally:
            memory.close()
            memory.unlink()

    def close(self) -> None:
        """End the child. In a forked process, only this process's copy of the connection is closed."""
        if os.getpid() == self.creator:
            with self._lock:
                self._drop()


class InProcess:
    """The same decoding in this process, without protection from crashes."""

    def __init__(self, workers: int) -> None:
        self.workers, self.creator = workers, os.getpid()
        self._decoder = Decoder(workers)
        self.segments = Segments()
        self._lock = threading.Lock()

    def describe(self, spec: SourceSpec) -> dict[str, Any]:
        """Report levels and properties as the reader sees them."""
        with self._lock:
            return self._decoder.describe(spec)

    def read(self, spec: SourceSpec, plan: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Read the plan's regions, uint8 of `shape`."""
        if os.getpid() != self.creator:  # forked: the threads stayed behind
            return client(True, self.workers).read(spec, plan, shape)
        size_bytes = int(np.prod(shape, dtype=np.int64))
        if not hasattr(os, "memfd_create"):
            out = np.empty(shape, dtype=np.uint8)
            with self._lock:
                self._decoder.read(spec, plan, out)
            return out
        segment = self.segments.take(size_bytes)
        self.segments.gone()  # nobody else has mapped them
        try:
            with self._lock:
                self._decoder.read(spec, plan, np.frombuffer(segment.mapping, np.uint8, size_bytes).reshape(shape))
        except BaseException:
            self.segments.discard(segment)
            raise
        return self.segments.array(segment, shape)

    def close(self) -> None:
        """Stop threads, close files."""
        if os.getpid() == self.creator:
            self._decoder.close()


_clients: dict[tuple[bool, int], Isolated | InProcess] = {}
_clients_lock = threading.Lock()


def default_workers() -> int:
    """Count the processors that this process may use, at most 16."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, usable))


def client(in_process: bool, workers: int | None) -> Isolated | InProcess:
    """Find or start the decoder that all slides of this process share.

    Args:
        in_process: Whether it decodes in this process.
        workers: Number of decoding threads; None for `default_workers()`.
    """
    number = default_workers() if workers is None else workers
    key = (in_process, number)
    with _clients_lock:
        found = _clients.get(key)
        if found is None or found.creator != os.getpid():  # after a fork: our own child
            found = _clients[key] = InProcess(number) if in_process else Isolated(number)
        return found


def _forget_lock() -> None:
    global _clients_lock
    _clients_lock = threading.Lock()


def _before_fork() -> None:
    for found in list(_clients.values()):
        found.segments.new_era()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_forget_lock)


@atexit.register
def close_all() -> None:
    """End every decoding process of this process."""
    for key in list(_clients):
        _clients.pop(key).close()
