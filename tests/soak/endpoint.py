"""Where the soak's HTTP actions go: it answers as the path says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.soak.actions import ENDS_SECONDS


class _Handler(BaseHTTPRequestHandler):
    """`/200`: the data; `/later`: that at the second time; `/slow`: nothing; `/500`: 500."""

    put_off: set[str]

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        match self.path.removeprefix("/"):
            case "slow":
                self.connection.settimeout(ENDS_SECONDS)
                with suppress(OSError):
                    self.connection.recv(1)  # until whoever asks has had enough
            case "later":
                self._answer_later(data)
            case status:
                self._answer(int(status), data)

    def _answer_later(self, data: bytes) -> None:
        task_id = self.headers["webhook-id"]
        if task_id in self.put_off:
            self.put_off.remove(task_id)
            self._answer(200, data)
        else:
            self.put_off.add(task_id)
            self._answer(503, b"", ("Retry-After", "1"))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, text in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def endpoint() -> Iterator[int]:
    """Serve on 127.0.0.1 until the end of the block; the port."""
    handler = type("Handler", (_Handler,), {"put_off": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
