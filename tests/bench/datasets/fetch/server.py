"""A real HTTP server on the loopback address, with a fault for each path that is to have one."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


class Server:
    """Serves `files` (path -> bytes). faults: path -> name of the fault, each described in `Handler.send_file`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[tuple[str, str | None]] = []
        self.listings: dict[str, object] = {}
        server = self

        class Bound(Handler):
            site = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._http.handle_error = lambda *_: None  # a client that hangs up is what is tested
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def zenodo(self, record: int, name: str, content: bytes, **listed) -> str:
        """A record with one file; `listed` overrides the size or checksum that it states."""
        path = f"/api/records/{record}/files/{name}/content"
        self.files[path] = content
        entry = {"key": name, "size": len(content), "checksum": f"md5:{hashlib.md5(content).hexdigest()}", **listed}
        self.listings[f"/api/records/{record}"] = {"id": record, "files": [entry]}
        return path

    def bucket(self, prefix: str, objects: dict[str, bytes]) -> None:
        """Objects with checksums.md5; listed two at a time, as a bucket lists a thousand."""
        sums = "".join(f"{hashlib.md5(v).hexdigest()}  {k}\n" for k, v in objects.items())
        everything = {**objects, "checksums.md5": sums.encode()}
        self.files.update({f"/{prefix}{k}": v for k, v in everything.items()})
        self.listings["bucket"] = [(f"{prefix}{k}", len(v)) for k, v in sorted(everything.items())]


class Handler(BaseHTTPRequestHandler):
    site: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # noqa: A002
        return

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.site.listings[urlparse(self.path).path]
        text = answer(body) if callable(answer) else answer
        self.answer(text.encode() if isinstance(text, str) else json.dumps(text).encode())

    def do_GET(self):
        url = urlparse(self.path)
        if "list-type" in url.query:
            return self.send_bucket(parse_qs(url.query))
        if url.path in self.site.listings:
            return self.answer(json.dumps(self.site.listings[url.path]).encode())
        if url.path in self.site.files:
            return self.send_file(url.path)
        return self.answer(b"no such thing", 404)

    def answer(self, body: bytes, status: int = 200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_bucket(self, query):
        start = int(query.get("continuation-token", ["0"])[0])
        objects = self.site.listings["bucket"]
        entries = "".join(f"<Contents><Key>{k}</Key><Size>{n}</Size></Contents>" for k, n in objects[start : start + 2])
        more = start + 2 < len(objects)
        token = f"<NextContinuationToken>{start + 2}</NextContinuationToken>" if more else ""
        text = f'<ListBucketResult xmlns="{S3}">{entries}<IsTruncated>{str(more).lower()}</IsTruncated>{token}'
        self.answer(f"{text}</ListBucketResult>".encode())

    def send_file(self, path: str):
        site, content = self.site, self.site.files[path]
        fault = site.faults.get(path, "")
        site.asked[path] += 1
        turn = site.asked[path]
        site.ranges.append((path, self.headers.get("Range")))
        if fault == "busy twice" and turn <= 2:
            return self.answer(b"busy", 503)
        if fault == "gone":
            return self.answer(b"", 404)
        if fault == "wrong bytes" or (fault == "wrong bytes once" and turn == 1):
            content = bytes(len(content))
        if fault == "too short, length unsaid" and self.headers.get("Range"):
            return self.answer(b"", 416)
        if fault == "longer":
            content = content + b"more"
        start = 0
        asked = self.headers.get("Range")
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        same = self.headers.get("If-Range") in (None, tag)
        if asked and same and fault != "ignores ranges" and not fault.startswith("breaks and ignores"):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content) or fault == "refuses ranges":
                return self.answer(b"", 416)
            self.send_response(206)
            shown = 0 if fault == "other range" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        body = content[start:]
        if fault in ("more than promised", "too short, length unsaid"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            body = content + b"much more" if fault == "more than promised" else content[:-1000]
            self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
            return None
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "always breaks":
            self.close_connection = True
            return None
        if fault in ("breaks thrice", "other range", "refuses ranges") or fault.startswith("breaks and ignores"):
            if turn <= (3 if fault in ("breaks thrice",) else 1):
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return None
        self.wfile.write(body)
        return None
