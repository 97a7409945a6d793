"""Bodies in chunks: read in pieces of any size, and refused where their end is in doubt."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.api.server.chunked import MAX_LINE_BYTES, MAX_TRAILER_BYTES, ChunkedBody

SIZE = "a chunk must begin with its size, a hexadecimal number, and CR LF"
END = "a chunk must end with CR LF where its size says"
TRAILER = "what follows the last chunk must be headers of at most 32768 bytes and an empty line"
LINE = "a line between chunks must have at most 4096 bytes"


class Buffer(BytesIO):
    """What waitress keeps a body in."""

    def append(self, data: bytes) -> None:
        self.write(data)


def read(data: bytes, step: int = 1) -> tuple[ChunkedBody, int]:
    """The body, and how much of the data belongs to it, read in pieces of this size."""
    body, taken = ChunkedBody(Buffer()), 0
    while taken < len(data) and not body.completed and body.error is None:
        taken += body.received(data[taken : taken + step])
    return body, taken


def encoded(chunks: list[bytes], trailer: bytes = b"") -> bytes:
    sizes = (b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"".join(sizes) + b"0\r\n" + trailer + b"\r\n"


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 50), st.binary(max_size=9))
def test_what_was_sent_in_chunks_is_read_and_not_a_byte_more(
    chunks: list[bytes], step: int, next_request: bytes
) -> None:
    data = encoded(chunks)
    body, taken = read(data + next_request, step)
    assert body.completed
    assert body.error is None
    assert body.buf.getvalue() == b"".join(chunks)
    assert taken == len(data)


@pytest.mark.parametrize(
    "data",
    [
        b'5;a=b;c="d e"\r\nhello\r\n0\r\n\r\n',
        b"0005\r\nhello\r\n000\r\n\r\n",
        b"5\r\nhello\r\n0;last\r\nDigest: x\r\nEmpty:\r\n\r\n",
    ],
)
def test_extensions_and_trailers_are_read_and_dropped(data: bytes) -> None:
    for step in (1, 3, len(data)):
        body, taken = read(data, step)
        assert (body.completed, body.buf.getvalue(), taken) == (True, b"hello", len(data))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\r\n5\r\nhello\r\n", SIZE),
        (b"5\nhello\r\n", SIZE),
        (b"5\n\r\nhello\r\n", SIZE),
        (b"5 \r\nhello\r\n", SIZE),
        (b" 5\r\nhello\r\n", SIZE),
        (b"+5\r\nhello\r\n", SIZE),
        (b"-5\r\nhello\r\n", SIZE),
        (b"0x5\r\nhello\r\n", SIZE),
        (b"5_0\r\nhello\r\n", SIZE),
        (b"five\r\nhello\r\n", SIZE),
        (b"5;a\rb\r\nhello\r\n", SIZE),
        (b"5;\x00\r\nhello\r\n", SIZE),
        (b"\xb2\r\nhello\r\n", SIZE),
        (b"f" * 16 + b"\r\nhello\r\n", SIZE),
        (b"5\r\nhello0\r\n\r\n", END),
        (b"5\r\nhello\n0\r\n\r\n", END),
        (b"5\r\nhello\r0\r\n\r\n", END),
        (b"4\r\nhello\r\n0\r\n\r\n", END),
        (b"0\r\nno trailer\r\n\r\n", TRAILER),
        (b"0\r\nA: b\n\r\n", TRAILER),
        (b"0\r\n\n", TRAILER),
        (b"0\r\n" + b"A: b\r\n" * MAX_TRAILER_BYTES, TRAILER),
        (b"0" * (MAX_LINE_BYTES + 1), LINE),
        (b"5;" + b"a" * MAX_LINE_BYTES, LINE),
    ],
)
def test_a_body_whose_end_is_in_doubt_is_refused(data: bytes, why: str) -> None:
    for step in (1, 7, len(data)):
        body, _ = read(data, step)
        assert not body.completed
        assert body.error is not None
        assert body.error.body == f"the body cannot be read: {why}"
