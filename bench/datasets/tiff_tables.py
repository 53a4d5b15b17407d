"""The bytes in which a TIFF says where its tiles lie. A picture that was encoded anew has other tables.

They are read by hand: only the bytes are needed, of thousands of slides, and a parser takes ten times as long.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

OFFSETS_AND_COUNTS = (273, 279, 324, 325)  # StripOffsets, StripByteCounts, TileOffsets, TileByteCounts
SUBIFDS = 330
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MOST_DIRECTORIES, MOST_BYTES = 1024, 256 << 20  # of a file made to be read for ever


def tile_tables(handle: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Read every directory of a TIFF and its tables of offsets and byte counts.

    Args:
        handle: The file.
        size_bytes: Its size.

    Yields:
        The bytes, in the order in which they are found; nothing where the file is no TIFF.
    """
    handle.seek(0)
    head = handle.read(16)
    order, big = {b"II": "<", b"MM": ">"}.get(head[:2]), head[2:4] in (b"+\0", b"\0+")
    if order is None or len(head) < 16 or head[2:4] not in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return
    word, width = ("Q", 8) if big else ("I", 4)
    todo = [struct.unpack_from(order + word, head, 8 if big else 4)[0]]
    seen: set[int] = set()
    budget = MOST_BYTES
    while todo and len(seen) < MOST_DIRECTORIES and budget > 0:
        at = todo.pop()
        if at in seen or not 0 < at < size_bytes:
            continue
        seen.add(at)
        handle.seek(at)
        start = handle.read(8 if big else 2)
        if len(start) < (8 if big else 2):
            continue
        entries = struct.unpack(order + ("Q" if big else "H"), start)[0]
        length = 20 if big else 12
        directory = handle.read(min(entries, 4096) * length + width)
        yield directory
        budget -= len(directory)
        if len(directory) == entries * length + width:
            todo.append(struct.unpack_from(order + word, directory, entries * length)[0])
        for entry in range(min(entries, len(directory) // length)):
            tag, kind, count = struct.unpack_from(order + "HH" + word, directory, entry * length)
            if tag not in (*OFFSETS_AND_COUNTS, SUBIFDS):
                continue
            wanted = count * SIZES.get(kind, 0)
            if wanted > width:  # else the value lies in the directory itself
                handle.seek(struct.unpack_from(order + word, directory, entry * length + 4 + width)[0])
                value = handle.read(max(0, min(wanted, budget)))
                yield value
                budget -= len(value)
            else:
                value = directory[entry * length + 4 + width :][:wanted]
            if tag == SUBIFDS and SIZES.get(kind) in (4, 8) and len(value) == wanted:
                todo += struct.unpack(f"{order}{count}{'Q' if SIZES[kind] == 8 else 'I'}", value)
