"""Cursors: where the next page of a listing begins."""

import base64
import binascii
import re
from dataclasses import replace
from hashlib import blake2b

import orjson

from task_queue.actors.tasks.audit import AuditFilters
from task_queue.actors.tasks.filters import Cursor, Filters
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError

MAX_INTEGER = 2**63 - 1
DIGEST_BYTES = 4
"""How much of the filters' digest a cursor holds: enough to notice a mistake, and short."""

_PLACE = re.compile(rb"(0|[1-9][0-9]{0,18})\.([1-9][0-9]{0,18})\.([0-9a-f]{8})")


def cursor_of(place: Cursor, filters: Filters | AuditFilters) -> str:
    """Return the cursor of what comes after this place in the listing with these filters."""
    text = b"%d.%d.%s" % (*place, _digest(filters))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def place_of(cursor: str, filters: Filters | AuditFilters) -> Cursor:
    """Return the place that a cursor stands for.

    Raises:
        InvalidRequestError: It is not one that `cursor_of` made, or it is of a listing with other
            filters, where its place means nothing.
    """
    try:
        text = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        text = b""
    match = _PLACE.fullmatch(text)
    canonical = base64.urlsafe_b64encode(text).decode().rstrip("=")
    if not match or cursor != canonical or max(int(match[1]), int(match[2])) > MAX_INTEGER:
        message = "cursor is not one that this service gave; use a next_cursor, or leave it out"
        raise InvalidRequestError(message, problem=problems.INVALID_CURSOR)
    if match[3] != _digest(filters):
        message = (
            "cursor is of a listing with other filters or in another order; ask with those, or"
            " leave it out"
        )
        raise InvalidRequestError(message, problem=problems.INVALID_CURSOR)
    return int(match[1]), int(match[2])


def _digest(filters: Filters | AuditFilters) -> bytes:
    """Return what tells these filters from others, however their states were listed.

    So also a caller who sees other queues: a cursor means nothing to it.
    """
    if isinstance(filters, Filters):
        filters = replace(filters, statuses=tuple(sorted(filters.statuses)))
    canonical = orjson.dumps(filters, default=sorted)
    return blake2b(canonical, digest_size=DIGEST_BYTES).hexdigest().encode()
