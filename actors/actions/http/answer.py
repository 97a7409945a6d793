"""What the answer to a request makes of the task."""

import gzip
import io
import math
import re
import zlib
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpcore
import httpx
import orjson

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.http.addresses import host, place, site
from task_queue.actors.actions.result import foreign_text, too_long
from task_queue.actors.errors import Reject, TimedOut
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS, Failure
from task_queue.actors.tasks.text import one_line

MAX_ERROR_BYTES = 4_096
"""What is read of an answer that says that the task failed."""
CHUNK_BYTES = 65_536
ASKS_FOR_LATER = {429, 503}

_broken_off = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    TimedOut,
)
"""How an answer may end too early. Its status has come by then, and that counts."""


def is_delivered(beginning: bytes) -> bool:
    """Return whether an answer that begins so says 2xx, even if nothing else of it can be read.

    Others that say 1xx may come before it.
    """
    while re.match(rb"HTTP/1\.[01] 1[0-9][0-9]", beginning):
        _, _, beginning = beginning.partition(b"\r\n\r\n")
    return re.match(rb"HTTP/1\.[01] 2[0-9][0-9]", beginning) is not None


def outcome_of(
    url: httpx.URL,
    response: httpcore.Response,
    *,
    retried: Collection[int],
    max_result_bytes: int,
    now: float,
) -> Done:
    """Return the body as the result, or raise what the status means.

    Args:
        url: Who answered.
        response: The answer, whose body is yet to be read.
        retried: The statuses after which it is sent again.
        max_result_bytes: How long the body may be.
        now: The present moment, Unix seconds.

    Raises:
        Reject: The answer says that the request is at fault.
        Ended: The answer says that it may be sent again.
    """
    status, headers = response.status, httpx.Headers(response.headers)
    answered = f"{site(url)} answered {status}"
    encoding = one_line(headers.get("content-encoding", "")).lower() or "identity"
    if httpx.codes.is_success(status):
        return _delivered(response, encoding, max_result_bytes)
    if status in ASKS_FOR_LATER and status in retried and "retry-after" in headers:
        seconds = retry_after_seconds(headers["retry-after"], now)
        if seconds is not None:
            later = f"{host(url)} answered {status}, to be asked again in {seconds} s"
            raise Ended(Failure(later, retry_after=seconds, backs_off=True))
    if httpx.codes.is_redirect(status) and "location" in headers:
        answered += f" and leads to {place(url, headers['location'])}, not followed"
    elif encoding == "identity" and (excerpt := _excerpt(response)):
        answered += f": {excerpt}"
    if status in retried:
        raise Ended(Failure(answered))
    raise Reject(answered)


def retry_after_seconds(text: str, now: float) -> int | None:
    """Return how long a Retry-After asks to wait (RFC 9110, section 10.2.3); None if it is invalid.

    Args:
        text: Seconds, or a date.
        now: The present moment, Unix seconds.
    """
    text = text.strip()
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return math.ceil(max(0.0, min(seconds, MAX_POSTPONE_SECONDS)))


def _delivered(response: httpcore.Response, encoding: str, max_bytes: int) -> Done:
    """Return as the result what can be kept of an answer; what cannot is said beside it.

    The peer has taken the data, so nothing that is wrong with its answer may send it again.
    """
    try:
        body, has_all = _body(response, max_bytes)
        body, has_all_unpacked = _unpacked(body, encoding, max_bytes)
        if has_all and has_all_unpacked:
            return Done(foreign_text(body, max_bytes))
        text = orjson.dumps(body.decode("utf-8", "replace"))  # 12 may be the beginning of 123
        return Done(foreign_text(text, max_bytes), "the answer was broken off: this is what came")
    except Reject as error:
        return Done("null", f"the answer was not kept: {error}")


def _body(response: httpcore.Response, max_bytes: int) -> tuple[bytes, bool]:
    """Return what comes of the body, and whether that is all of it.

    Raises:
        Reject: It is too long; reading stops as soon as that is known.
    """
    body = bytearray()
    try:
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > max_bytes:
                raise too_long(None, max_bytes)
    except _broken_off:
        return bytes(body), False
    return bytes(body), True


def _unpacked(body: bytes, encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """Return the body as it was before it was packed, and whether that is all of it.

    Nobody asked for it to be packed.

    Raises:
        Reject: It is too long, or packed in another way than gzip.
    """
    if encoding == "identity":
        return body, True
    if encoding not in {"gzip", "x-gzip"}:
        raise Reject(f"it is packed as {encoding}, which was not asked for")
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            while chunk := file.read1(CHUNK_BYTES):
                unpacked += chunk
                if len(unpacked) > max_bytes:
                    raise too_long(None, max_bytes)
    except (EOFError, OSError, zlib.error):
        if not unpacked:
            raise Reject("it is not the gzip that it says it is") from None
        return bytes(unpacked), False
    return bytes(unpacked), True


def _excerpt(response: httpcore.Response) -> str:
    """Read the first words of the body."""
    body = bytearray()
    # What has come is enough: the status counts, however the rest of the answer ends.
    with suppress(*_broken_off):
        for chunk in response.iter_stream():
            body += chunk
            if len(body) >= MAX_ERROR_BYTES:
                break
    return one_line(body[:MAX_ERROR_BYTES].decode("utf-8", "replace"))
