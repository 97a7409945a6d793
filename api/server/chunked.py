"""Bodies whose length is not known before: `Transfer-Encoding: chunked`."""

import re
from typing import Any

from waitress.utilities import BadRequest

MAX_LINE_BYTES = 4_096
"""What the line with a chunk's size, or one of the trailer, may have."""
MAX_TRAILER_BYTES = 32_768
"""What the lines after the last chunk may have; nobody reads them."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n")


class ChunkedBody:
    """Reads a body in chunks (RFC 9112, section 7.1).

    Stands in for waitress's receiver, which takes empty lines before a size and a bare LF behind
    one, and keeps a line of any length.

    Attributes:
        completed: Whether all of it is there.
        error: Why it cannot be read.
        buf: What it holds so far.
    """

    def __init__(self, buf: Any) -> None:  # noqa: ANN401 - waitress has no types
        self.completed = False
        self.error: BadRequest | None = None
        self.buf = buf
        self._missing_bytes = 0
        self._line = b""
        self._trailer_bytes = 0
        self._take_line = self._take_size

    def __len__(self) -> int:
        return len(self.buf)

    def received(self, data: bytes) -> int:
        """Take what came in; return how much of it belongs to this body."""
        taken = 0
        while taken < len(data) and not self.completed and self.error is None:
            if self._missing_bytes:
                part = data[taken : taken + self._missing_bytes]
                self.buf.append(part)
                self._missing_bytes -= len(part)
            else:
                part = data[taken : data.find(b"\n", taken) + 1 or None]
                self._take_part_of_line(part)
            taken += len(part)
        return taken

    def getfile(self) -> Any:  # noqa: ANN401
        """Return the body as a file."""
        return self.buf.getfile()

    def getbuf(self) -> Any:  # noqa: ANN401
        """Return what has to be closed."""
        return self.buf

    def _take_part_of_line(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > MAX_LINE_BYTES:
            self._refuse(f"a line between chunks must have at most {MAX_LINE_BYTES} bytes")
        elif part.endswith(b"\n"):
            line, self._line = self._line, b""
            self._take_line(line)

    def _take_size(self, line: bytes) -> None:
        if (found := _SIZE.fullmatch(line)) is None:
            self._refuse("a chunk must begin with its size, a hexadecimal number, and CR LF")
            return
        self._missing_bytes = int(found[1], 16)
        self._take_line = self._take_end if self._missing_bytes else self._take_trailer

    def _take_end(self, line: bytes) -> None:
        if line != b"\r\n":
            self._refuse("a chunk must end with CR LF where its size says")
        self._take_line = self._take_size

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if line == b"\r\n":
            self.completed = True
        elif self._trailer_bytes > MAX_TRAILER_BYTES or not _TRAILER.fullmatch(line):
            self._refuse(
                "what follows the last chunk must be headers"
                f" of at most {MAX_TRAILER_BYTES} bytes and an empty line"
            )

    def _refuse(self, why: str) -> None:
        self.error = BadRequest(f"the body cannot be read: {why}")
