"""What is wrong with the head of a request: what leaves in doubt where it ends, or whom it is for.

waitress reads on where two servers in a row may understand one request differently, so that one of
them takes the end of its body for the next request (RFC 9112, section 11.2). Here such a request is
refused, and its connection closed.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

MAX_SHOWN_BYTES = 100
"""How much of a line is shown in an error."""
MAX_LENGTH_DIGITS = 18

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = rb"[!#$%&'*+\-.^_`|~0-9A-Z]+ ([!-~]+) HTTP/([!-~]+)"
_FIELD_LINE = rb"%b:[\t -~\x80-\xff]*" % _TOKEN
# The head that waitress makes up for one that is too long has no empty line at its end.
_HEAD = re.compile(rb"%b\r\n(?:%b\r\n)*(?:\r\n)?" % (_REQUEST_LINE, _FIELD_LINE))
_TARGET = re.compile(rb"/|https?://|\*\Z", re.IGNORECASE)
_FRAMING = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|expect):[\t ]*([^\r]*)", re.IGNORECASE
)
_LENGTH = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)
_REQUEST_ID = re.compile(rb"\r\nx-request-id:[\t ]*([^\r\n]*)", re.IGNORECASE)
_Values = dict[bytes, list[bytes]]
_request_line = re.compile(_REQUEST_LINE)
_field_line = re.compile(_FIELD_LINE)
_token_character = re.compile(_TOKEN)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request is refused, as waitress keeps its errors.

    Attributes:
        code: The HTTP status.
        body: A sentence with what is wrong and what is allowed.
    """

    code: HTTPStatus
    body: str


def fault_of(head: bytes) -> Fault | None:
    """Return what is wrong with a head, from the request line to the empty line.

    Costs 3.5 µs: one look at its form, and one for the few headers that say where the request ends
    and whom it is for.
    """
    if (parts := _HEAD.fullmatch(head)) is None:
        return _malformed(head)
    target, version = parts.groups()
    if version not in {b"1.1", b"1.0"}:
        message = f"HTTP/1.1 and HTTP/1.0 are spoken here, not HTTP/{_shown(version)}"
        return Fault(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, message)
    if not _TARGET.match(target):
        return _bad(f"the target must begin with /, not {_shown(target)}")
    if b"#" in target:  # or what follows would be dropped, a filter maybe
        return _bad(f"a # in the target has to be written %23, not as in {_shown(target)}")
    values: _Values = {}
    for name, value in _FRAMING.findall(head):
        values.setdefault(name.lower(), []).append(value.rstrip(b"\t "))
    fault = _fault_of_host(values.pop(b"host", []), target, is_required=version == b"1.1")
    if fault is None and values:
        fault = _fault_of_body(values, version) or _fault_of_expectation(values, version)
    return fault


def fault_of_start(beginning: bytes) -> Fault | None:
    """Return why what comes first, whether the head has ended or not, is no request."""
    start = beginning.lstrip(b"\r\n")
    if start and not _token_character.match(start):
        return _bad("this is not HTTP; does the client speak TLS? Only http:// is spoken here")
    return None


def fault_of_beginning(beginning: bytes, new_bytes: int) -> Fault | None:
    """Return why a head that has not ended need not be waited for.

    Args:
        beginning: What there is of it.
        new_bytes: How much of that has just come; the rest was looked at before.
    """
    if b"\n\n" in beginning[-new_bytes - 1 :]:
        return _bad("lines have to end with CR and LF, not with LF alone")
    return None


def request_id_in(head: bytes) -> str | None:
    """Return the id that the client gave to a request that is refused."""
    found = _REQUEST_ID.search(head)
    return None if found is None else found[1].decode("latin-1").rstrip()


def _malformed(head: bytes) -> Fault:
    """Return which line is wrong: of a header the name alone, since it may hold a key."""
    request_line, *lines = head.split(b"\r\n")
    if not _request_line.fullmatch(request_line):
        return _bad(
            "the request line must be METHOD TARGET HTTP/1.1, with all that is not ASCII"
            f" percent-encoded, not {_shown(request_line)}"
        )
    wrong = next(line for line in lines if line and not _field_line.fullmatch(line))
    if wrong.startswith((b" ", b"\t")):
        return _bad("a header may not go on in the next line")
    name, colon, _ = wrong.partition(b":")
    return _bad(
        "a header must be Name: value, without a space before the colon and without control"
        f" characters, unlike {_shown(name) if colon else 'a line without a colon'}"
    )


def _fault_of_host(hosts: list[bytes], target: bytes, *, is_required: bool) -> Fault | None:
    if len(hosts) > 1 or (is_required and not hosts):
        return _bad(f"Host must be there once, not {len(hosts)} times")
    if not target.startswith(b"/") and b"://" in target:
        authority = re.split(b"[/?]", target.partition(b"://")[2], maxsplit=1)[0]
        host = hosts[0] if hosts else b""
        if authority.lower() != host.lower():
            return _bad(f"the target names {_shown(authority)}, but Host names {_shown(host)}")
    return None


def _fault_of_body(values: _Values, version: bytes) -> Fault | None:
    lengths, codings = values.get(b"content-length"), values.get(b"transfer-encoding")
    if lengths and (len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0])):
        return _bad(
            f"Content-Length must be one whole number of at most {MAX_LENGTH_DIGITS} digits,"
            f" not {_shown(b', '.join(lengths))}"
        )
    if not codings:
        return None
    if lengths:
        return _bad("Content-Length and Transfer-Encoding exclude each other")
    if version == b"1.0":
        return _bad("Transfer-Encoding needs HTTP/1.1")
    return _fault_of_coding(b", ".join(codings))


def _fault_of_coding(coding: bytes) -> Fault | None:
    if coding.lower() == b"chunked":
        return None
    message = f"Transfer-Encoding must be chunked, once, not {_shown(coding)}"
    others = {each.strip(b"\t ") for each in coding.lower().split(b",")} - {b"chunked", b""}
    return Fault(HTTPStatus.NOT_IMPLEMENTED, message) if others else _bad(message)


def _fault_of_expectation(values: _Values, version: bytes) -> Fault | None:
    expected = b", ".join(values.get(b"expect", [b"100-continue"]))
    if version == b"1.0" or expected.lower() == b"100-continue":
        return None
    message = f"Expect must be 100-continue, not {_shown(expected)}"
    return Fault(HTTPStatus.EXPECTATION_FAILED, message)


def _bad(message: str) -> Fault:
    return Fault(HTTPStatus.BAD_REQUEST, message)


def _shown(data: bytes) -> str:
    """Return the data as text, without control characters, and not all of it if it is long."""
    text = data[:MAX_SHOWN_BYTES].decode("latin-1")
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return (text or '""') + ("…" if len(data) > MAX_SHOWN_BYTES else "")
