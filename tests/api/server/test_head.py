"""Heads of requests that leave a doubt are refused, each with a sentence."""

import pytest

from task_queue.api.server.head import fault_of, fault_of_beginning, fault_of_start, request_id_in

LINE = "the request line must be METHOD TARGET HTTP/1.1, with all that is not ASCII percent-encoded"
FIELD = (
    "a header must be Name: value, without a space before the colon and without control characters"
)
LENGTH = "Content-Length must be one whole number of at most 18 digits"
CHUNKED = "Transfer-Encoding must be chunked, once"
VERSION = "HTTP/1.1 and HTTP/1.0 are spoken here"


def head(*fields: bytes, line: bytes = b"POST /tasks HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join([line, *([host] if host else []), *fields, b"", b""])


@pytest.mark.parametrize(
    "good",
    [
        head(),
        head(b"Content-Length: 0"),
        head(b"content-length:5", b"ACCEPT: */*", b"Empty:", b"Latin: \xe4\t\xf6"),
        head(b"Transfer-Encoding: chunked"),
        head(b"TRANSFER-ENCODING:\t Chunked \t"),
        head(b"Expect: 100-Continue"),
        head(line=b"GET http://X/healthz?a HTTP/1.1"),
        head(line=b"GET http://x HTTP/1.1"),
        head(line=b"OPTIONS * HTTP/1.1"),
        head(line=b"BREW /tasks HTTP/1.1"),
        head(line=b"GET /tasks?to=http://y/ HTTP/1.1"),
        head(line=b"GET / HTTP/1.0", host=b""),
        head(b"Expect: tea", line=b"GET / HTTP/1.0", host=b""),
        b"GET / HTTP/1.0\r\n",
    ],
)
def test_nothing_is_wrong_with(good: bytes) -> None:
    assert fault_of(good) is None


@pytest.mark.parametrize(
    ("bad", "status", "why"),
    [
        (head(line=b"GET /tasks"), 400, f"{LINE}, not GET /tasks"),
        (head(line=b"GET  /tasks HTTP/1.1"), 400, f"{LINE}, not GET  /tasks HTTP/1.1"),
        (head(line=b"GET /tasks HTTP/1.1 "), 400, f"{LINE}, not GET /tasks HTTP/1.1 "),
        (head(line=b"GET /tasks http/1.1"), 400, f"{LINE}, not GET /tasks http/1.1"),
        (head(line=b"get /tasks HTTP/1.1"), 400, f"{LINE}, not get /tasks HTTP/1.1"),
        (head(line=b"GET /t\xe4sks HTTP/1.1"), 400, f"{LINE}, not GET /täsks HTTP/1.1"),
        (head(line=b"GET /\x00 HTTP/1.1"), 400, f"{LINE}, not GET /\\x00 HTTP/1.1"),
        (head(line=b"GET\t/ HTTP/1.1"), 400, f"{LINE}, not GET\\t/ HTTP/1.1"),
        (head(line=b"GET / HTTP/1.1\nX: y"), 400, f"{LINE}, not GET / HTTP/1.1\\nX: y"),
        (head(line=b"GET / HTTP/1.1\r"), 400, f"{LINE}, not GET / HTTP/1.1\\r"),
        (head(line=b"PRI * HTTP/2.0"), 505, f"{VERSION}, not HTTP/2.0"),
        (head(line=b"GET / HTTP/2"), 505, f"{VERSION}, not HTTP/2"),
        (head(line=b"GET / HTTP/1.2"), 505, f"{VERSION}, not HTTP/1.2"),
        (head(line=b"GET / HTTP/0.9"), 505, f"{VERSION}, not HTTP/0.9"),
        (head(line=b"GET / HTTP/11.1"), 505, f"{VERSION}, not HTTP/11.1"),
        (head(host=b""), 400, "Host must be there once, not 0 times"),
        (head(b"host: y"), 400, "Host must be there once, not 2 times"),
        (head(b"Host: x"), 400, "Host must be there once, not 2 times"),
        (
            head(b"Host: x", line=b"GET / HTTP/1.0"),
            400,
            "Host must be there once, not 2 times",
        ),
        (head(line=b"GET http://y/ HTTP/1.1"), 400, "the target names y, but Host names x"),
        (head(line=b"GET http://x:1?a HTTP/1.1"), 400, "the target names x:1, but Host names x"),
        (head(line=b"GET http://u@x/ HTTP/1.1"), 400, "the target names u@x, but Host names x"),
        (head(b"Content-Length : 5"), 400, f"{FIELD}, unlike Content-Length "),
        (head(b"no colon"), 400, f"{FIELD}, unlike a line without a colon"),
        (head(b": nameless"), 400, f'{FIELD}, unlike ""'),
        (head(b"X\xe4: y"), 400, f"{FIELD}, unlike Xä"),
        (head(b"X: a\x00b"), 400, f"{FIELD}, unlike X"),
        (head(b"X: a\nContent-Length: 5"), 400, f"{FIELD}, unlike X"),
        (head(b"X: a\rContent-Length: 5"), 400, f"{FIELD}, unlike X"),
        (head(b"X" * 200 + b" :"), 400, f"{FIELD}, unlike {'X' * 100}…"),
        (head(line=b"GET tasks HTTP/1.1"), 400, "the target must begin with /, not tasks"),
        (head(line=b"GET ftp://x/a HTTP/1.1"), 400, "the target must begin with /, not ftp://x/a"),
        (head(line=b"GET ?a HTTP/1.1"), 400, "the target must begin with /, not ?a"),
        (
            head(line=b"GET /tasks?a#b=c HTTP/1.1"),
            400,
            "a # in the target has to be written %23, not as in /tasks?a#b=c",
        ),
        (
            head(line=b"GET http://y/ HTTP/1.0", host=b""),
            400,
            'the target names y, but Host names ""',
        ),
        (head(b"X: a", b" b"), 400, "a header may not go on in the next line"),
        (head(host=b"\tHost: x"), 400, "a header may not go on in the next line"),
        (head(b"Content-Length: +5"), 400, f"{LENGTH}, not +5"),
        (head(b"Content-Length: -5"), 400, f"{LENGTH}, not -5"),
        (head(b"Content-Length: 5.0"), 400, f"{LENGTH}, not 5.0"),
        (head(b"Content-Length: 0x5"), 400, f"{LENGTH}, not 0x5"),
        (head(b"Content-Length: 1_0"), 400, f"{LENGTH}, not 1_0"),
        (head(b"Content-Length: 5 5"), 400, f"{LENGTH}, not 5 5"),
        (head(b"Content-Length: 5, 5"), 400, f"{LENGTH}, not 5, 5"),
        (head(b"Content-Length: \xb2"), 400, f"{LENGTH}, not ²"),
        (head(b"Content-Length:"), 400, f'{LENGTH}, not ""'),
        (head(b"Content-Length: " + b"9" * 19), 400, f"{LENGTH}, not {'9' * 19}"),
        (head(b"Content-Length: 5", b"Content-Length: 5"), 400, f"{LENGTH}, not 5, 5"),
        (head(b"Content-Length: 5", b"CONTENT-LENGTH: 6"), 400, f"{LENGTH}, not 5, 6"),
        (
            head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
            400,
            "Content-Length and Transfer-Encoding exclude each other",
        ),
        (
            head(b"Transfer-Encoding: identity", b"Content-Length: 5"),
            400,
            "Content-Length and Transfer-Encoding exclude each other",
        ),
        (
            head(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0"),
            400,
            "Transfer-Encoding needs HTTP/1.1",
        ),
        (head(b"Transfer-Encoding: chunked, chunked"), 400, f"{CHUNKED}, not chunked, chunked"),
        (head(*[b"Transfer-Encoding: chunked"] * 2), 400, f"{CHUNKED}, not chunked, chunked"),
        (head(b"Transfer-Encoding:"), 400, f'{CHUNKED}, not ""'),
        (head(b"Transfer-Encoding: ,chunked"), 400, f"{CHUNKED}, not ,chunked"),
        (head(b"Transfer-Encoding: gzip, chunked"), 501, f"{CHUNKED}, not gzip, chunked"),
        (head(b"Transfer-Encoding: chunked, gzip"), 501, f"{CHUNKED}, not chunked, gzip"),
        (head(b"Transfer-Encoding: identity"), 501, f"{CHUNKED}, not identity"),
        (head(b"Transfer-Encoding: xchunked"), 501, f"{CHUNKED}, not xchunked"),
        (head(b"Transfer-Encoding: chunked;a"), 501, f"{CHUNKED}, not chunked;a"),
        (head(b"Transfer-Encoding: \xa0chunked"), 501, f"{CHUNKED}, not \\xa0chunked"),
        (head(b"Expect: tea"), 417, "Expect must be 100-continue, not tea"),
        (
            head(b"Expect: 100-continue, tea"),
            417,
            "Expect must be 100-continue, not 100-continue, tea",
        ),
    ],
)
def test_it_is_said_what_is_wrong_with(bad: bytes, status: int, why: str) -> None:
    fault = fault_of(bad)
    assert fault is not None
    assert (fault.code, fault.body) == (status, why)


TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.parametrize("beginning", [TLS, TLS[:1], b"\r\n" + TLS, b"\x00", b"{}", b" GET / HTTP"])
def test_what_cannot_become_a_request_is_not_waited_for(beginning: bytes) -> None:
    fault = fault_of_start(beginning)
    assert fault is not None
    assert fault.body.startswith("this is not HTTP; ")


def test_lines_that_end_with_lf_alone_are_not_waited_for() -> None:
    request = b"GET / HTTP/1.1\nHost: x\n\n"
    for new_bytes in (1, 2, len(request)):
        fault = fault_of_beginning(request, new_bytes)
        assert fault is not None
        assert fault.body == "lines have to end with CR and LF, not with LF alone"


def test_the_beginning_of_a_good_request_is_waited_for() -> None:
    request = b"\r\n" + head(b"Content-Length: 5")
    for end in range(len(request)):
        assert fault_of_start(request[:end]) is None
        assert fault_of_beginning(request[:end], 1) is None


def test_the_id_of_a_request_that_is_refused_is_found() -> None:
    assert request_id_in(head(b"x-request-ID:  a-1 ", b"bad")) == "a-1"
    assert request_id_in(head(b"bad")) is None


@pytest.mark.parametrize(
    "lines",
    [
        (b"Authorization: Bearer \x0bs3cret",),
        (b"Authorization : Bearer s3cret",),
        (b"Authorization Bearer s3cret",),
        (b"Authorization:", b" Bearer s3cret"),
        (b"Authorization: Bearer", b"s3cret"),
    ],
)
def test_what_a_header_holds_is_not_shown_as_it_may_be_a_key(lines: tuple[bytes, ...]) -> None:
    fault = fault_of(head(*lines))
    assert fault is not None
    assert "s3cret" not in fault.body
