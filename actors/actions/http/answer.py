"""What the answer to a request makes of the task."""

import math
import re
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.http.addresses import host, place, site
from task_queue.actors.actions.result import foreign_text, too_long
from task_queue.actors.errors import Reject, RetryLater
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS, Failure
from task_queue.actors.tasks.text import one_line

MAX_ERROR_BYTES = 4_096
"""What is read of an answer that says that the task failed."""
ASKS_FOR_LATER = {429, 503}
TOO_MANY_REQUESTS = 429


def outcome_of(
    url: httpx.URL,
    response: httpcore.Response,
    headers: httpx.Headers,
    *,
    max_result_bytes: int,
    now: float,
) -> Done:
    """Return the body as the result, or raise what the status means.

    Args:
        url: Who answered.
        response: The answer, whose body is yet to be read.
        headers: Those of the answer.
        max_result_bytes: How long the body may be.
        now: The present moment, Unix seconds.

    Raises:
        Reject: The answer says that the request is at fault.
        RetryLater: The answer says when to ask again.
        Ended: The answer says that the server is at fault, or cannot be read.
    """
    status = response.status
    answered = f"{site(url)} answered {status}"
    encoding = one_line(headers.get("content-encoding", "identity")) or "identity"
    is_plain = encoding.lower() == "identity"
    if httpx.codes.is_success(status):
        if not is_plain:
            text = f"{answered} in an encoding that was not asked for: {encoding}"
            raise Ended(Failure(text))
        return Done(foreign_text(_body(response, max_result_bytes), max_result_bytes))
    if status in ASKS_FOR_LATER and "retry-after" in headers:
        seconds = retry_after_seconds(headers["retry-after"], now)
        if seconds is not None:
            later = f"{host(url)} answered {status}, to be asked again in {seconds} s"
            raise RetryLater(seconds, later)
    if httpx.codes.is_redirect(status):
        if "location" in headers:
            answered += f" and leads to {place(url, headers['location'])}, not followed"
        raise Reject(answered)
    if is_plain and (excerpt := _excerpt(response)):
        answered += f": {excerpt}"
    if httpx.codes.is_client_error(status) and status != TOO_MANY_REQUESTS:
        raise Reject(answered)
    raise Ended(Failure(answered))


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


def _body(response: httpcore.Response, max_bytes: int) -> bytes:
    """Read the body.

    Raises:
        Reject: It is too long; reading stops as soon as that is known.
    """
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_long(None, max_bytes)
    return bytes(body)


def _excerpt(response: httpcore.Response) -> str:
    """Read the first words of the body."""
    body = bytearray()
    # What has come is enough: the status counts, however the rest of the answer ends.
    with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
        for chunk in response.iter_stream():
            body += chunk
            if len(body) >= MAX_ERROR_BYTES:
                break
    return one_line(body[:MAX_ERROR_BYTES].decode("utf-8", "replace"))
