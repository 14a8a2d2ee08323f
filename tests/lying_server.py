"""A web server on this machine that serves some bytes, with the faults that a test asks for."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LyingServer(http.server.ThreadingHTTPServer):
    """Serves ``content`` at every path; each fault is an attribute.

    Attributes:
        requests: the Range header of each request so far.
        cuts: one a request: send so many bytes, then hang up.
        statuses: one a request: answer this instead.
        ranges: whether Range is heeded.
        stalls: so many requests send nothing more after their cut, and stay open.
        length: whether it is told.
        location: where every request is redirected to.
        garbage: bytes sent in the place of an answer.
        endless: send the content again and again.
    """

    daemon_threads = True

    def __init__(self, content: bytes, **faults: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.requests: list[str | None] = []
        self.cuts: list[int | None] = []
        self.statuses: list[int] = []
        self.ranges, self.length, self.endless, self.stalls = True, True, False, 0
        self.location, self.garbage = "", b""
        self.over = threading.Event()
        vars(self).update(faults)

    def url(self, name: str = "set.zip") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.garbage:
            self.wfile.write(server.garbage)
            return
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if server.statuses and (status := server.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        start = int(asked[6:-1]) if asked and server.ranges else 0
        body = server.content[start:]
        if not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts and (cut := server.cuts.pop(0)) is not None:
            body = body[:cut]
        self.wfile.write(body)
        while server.endless and not server.over.is_set():
            self.wfile.write(body)
        if server.stalls:
            server.stalls -= 1
            self.wfile.flush()
            server.over.wait(60)


@contextmanager
def serving(content: bytes, **faults: Any) -> Iterator[LyingServer]:
    """A server with these faults, for as long as the body runs."""
    server = LyingServer(content, **faults)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
