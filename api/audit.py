"""`/audit`: what operators have done."""

from typing import Annotated, Any

import falcon
from orjson import dumps
from pydantic import Field

from task_queue.actors.messages.reader import ListAudit
from task_queue.actors.tasks.audit import AuditEntry, AuditFilters
from task_queue.api.edge import Edge
from task_queue.api.requests.listing import DEFAULT_LIMIT, MAX_LIMIT, Query, parameters
from task_queue.api.requests.validation import whole_number
from task_queue.api.responses.cursor import cursor_of, place_of

MAX_WHO_CHARS = 300


class AuditParameters(Query):
    """The query of `GET /audit`.

    Attributes:
        who: Only what was done with this key, by its name or as an entry has it.
        what: Only this operation.
        limit: How many a page holds.
        cursor: Where the page before ended.
    """

    who: Annotated[str, Field(min_length=1, max_length=MAX_WHO_CHARS)] | None = None
    what: Annotated[str, Field(min_length=1, max_length=MAX_WHO_CHARS)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), whole_number] = DEFAULT_LIMIT
    cursor: str | None = None


class AuditResource:
    """`GET /audit` shows who has done what."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show a page of entries, the newest first."""
        asked = parameters(AuditParameters, req)
        filters = AuditFilters(asked.who, asked.what)
        before = None if asked.cursor is None else place_of(asked.cursor, filters)[1]
        entries, last = self._edge.ask_reader(ListAudit(filters, asked.limit, before))
        document = {
            "entries": [_shown(entry) for entry in entries],
            "count": len(entries),
            "next_cursor": None if last is None else cursor_of((0, last), filters),
        }
        resp.data = dumps(document)

    on_head = on_get


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "who": entry.who,
        "what": entry.what,
        "target": entry.target,
        "source": entry.source,
        "status": entry.status,
    }
