"""Cursors: where the next page of a listing begins."""

import base64
import binascii
import re

from task_queue.actors.tasks.filters import Cursor
from task_queue.api.responses.errors import InvalidRequestError

MAX_INTEGER = 2**63 - 1

_PLACE = re.compile(rb"(0|[1-9][0-9]{0,18})\.([1-9][0-9]{0,18})")


def cursor_of(place: Cursor) -> str:
    """Return the cursor of what comes after this place."""
    return base64.urlsafe_b64encode(b"%d.%d" % place).decode().rstrip("=")


def place_of(cursor: str) -> Cursor:
    """Return the place that a cursor stands for.

    Raises:
        InvalidRequestError: It is not one that `cursor_of` made.
    """
    try:
        text = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        text = b""
    if match := _PLACE.fullmatch(text):
        place = int(match[1]), int(match[2])
        if max(place) <= MAX_INTEGER and cursor_of(place) == cursor:
            return place
    message = "cursor is not one that this service gave; use a next_cursor, or leave it out"
    raise InvalidRequestError(message)
