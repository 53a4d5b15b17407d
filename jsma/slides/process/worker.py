"""The decoding process: `python -m jsma.slides.process.worker FD PARENT_PID WORKERS`. Never imports torch."""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import shutil
import signal
import socket
import struct
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from jsma.slides.readers import reader_named
from jsma.slides.readers.base import SourceSpec, TileSource
from jsma.slides.reading.execute import execute
from jsma.slides.types import SlideError

OPEN_HANDLES = 8
MAX_HELD_BYTES = 1 << 30  # of photos decoded whole, over all open sources
CHATTER = "chatter.log"  # in the working folder: whatever the native libraries print


def send_message(sock: socket.socket, value: Any) -> None:
    """Send a value as a pickle behind its length."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    sock.sendall(struct.pack(">Q", len(data)) + data)


def receive_message(sock: socket.socket) -> Any:
    """Receive what `send_message` sent; EOFError when the other side is gone."""
    (length,) = struct.unpack(">Q", _exactly(sock, 8))
    return pickle.loads(_exactly(sock, length))


def _exactly(sock: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = sock.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError("the other process closed the connection")
        parts += part
    return bytes(parts)


class Decoder:
    """The sources that were used last, `OPEN_HANDLES` of them, and the threads that decode their tiles."""

    def __init__(self, workers: int, chatter: str | None = None) -> None:
        self.workers, self.chatter = workers, chatter
        self.pool = ThreadPoolExecutor(workers)
        self.sources: OrderedDict[SourceSpec, TileSource] = OrderedDict()
        self.mapped: dict[int, mmap.mmap] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of pixels that open sources keep in memory."""
        return sum(source.held_bytes for source in self.sources.values())

    def source(self, spec: SourceSpec) -> TileSource:
        """Find the source of a spec; open it where it is not open."""
        reader = reader_named(spec.reader)
        if reader.whole:  # its levels are found by decoding it: one copy serves before and after
            spec = replace(spec, levels=())
        key = replace(spec, decoder="cpu") if spec.decoder == "cucim" else spec  # one open file serves both
        if key not in self.sources:
            self.sources[key] = reader.open(key, self.chatter)
            while len(self.sources) > 1 and (len(self.sources) > OPEN_HANDLES or self.held_bytes > MAX_HELD_BYTES):
                self.sources.popitem(last=False)[1].close()
        self.sources.move_to_end(key)
        found: Any = self.sources[key]
        return found if key is spec else found.cucim

    def describe(self, spec: SourceSpec) -> dict[str, Any]:
        """Report levels and properties as the reader itself sees them."""
        source = self.source(spec)
        return {"levels": source.levels, "properties": getattr(source, "properties", {})}

    def read(self, spec: SourceSpec, plan: Any, out: np.ndarray) -> None:
        """Fill `out` with the plan's regions."""
        execute(self.source(spec), plan, out, self.pool, self.workers)

    def close(self) -> None:
        """Stop the threads and close every file."""
        self.pool.shutdown(wait=True)
        while self.sources:
            self.sources.popitem()[1].close()


def _read_into(decoder: Decoder, sock: socket.socket, request: dict[str, Any]) -> None:
    shape, name = request["shape"], request["shared"]
    if name is None:
        for number in request["gone"]:
            decoder.mapped.pop(number, None)
        if request["new"]:
            _, fds, _, _ = socket.recv_fds(sock, 1, 1)
            with os.fdopen(fds[0], "r+b") as handle:
                decoder.mapped[request["segment"]] = mmap.mmap(handle.fileno(), request["bytes"])
        buffer = decoder.mapped[request["segment"]]
        out = np.frombuffer(buffer, dtype=np.uint8, count=int(np.prod(shape, dtype=np.int64)))
        decoder.read(request["spec"], request["plan"], out.reshape(shape))
        return
    from multiprocessing.shared_memory import SharedMemory

    memory = SharedMemory(name=name)
    out = np.ndarray(shape, dtype=np.uint8, buffer=memory.buf)
    try:
        decoder.read(request["spec"], request["plan"], out)
    finally:
        del out
        memory.close()


def _answer(decoder: Decoder, sock: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if request["do"] == "describe":
            return {"ok": True, "value": decoder.describe(request["spec"])}
        _read_into(decoder, sock, request)
        return {"ok": True, "value": None}
    except SlideError as error:
        return {"ok": False, "kind": type(error).__name__, "text": str(error)}
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        return {"ok": False, "kind": "SlideError", "text": f"{request['spec'].path}: cannot be read ({text})"}


def _watch(parent: int) -> None:
    # not PR_SET_PDEATHSIG: that fires when the *thread* that started us ends, not only the process
    while os.getppid() == parent:
        time.sleep(0.5)
    _leave()


def _leave(*_: object) -> None:
    shutil.rmtree(os.getcwd(), ignore_errors=True)  # the parent made it for us; if it was killed nobody else cleans up
    os._exit(0)


def main() -> None:
    """Serve requests until the parent closes the connection or is gone."""
    descriptor, parent, workers = (int(v) for v in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which decides
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    sock = socket.socket(fileno=descriptor)
    gc.freeze()
    gc.set_threshold(50_000)  # thousands of short-lived arrays a second: the default costs 1 % of the decoding
    decoder = Decoder(workers, os.path.abspath(CHATTER))
    try:
        while True:
            send_message(sock, _answer(decoder, sock, receive_message(sock)))
    except (EOFError, OSError):
        _leave()


if __name__ == "__main__":
    main()
