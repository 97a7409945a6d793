"""`/ui/audit`: who has done what."""

import falcon

from task_queue.api.ui.frame import Frame
from task_queue.api.ui.visit import Visit

PAGE = 100


class AuditPage:
    """Shows the audit log. It is not live: each look at it is an entry itself."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show a page of it, the newest first."""
        visit = Visit(self._frame, req, resp)
        filters = {name: visit.field(name) or None for name in ("who", "what")}
        page = visit.get("/audit", **filters, limit=PAGE, cursor=visit.field("cursor") or None)
        visit.show("audit.html", "Audit", page=page, filters=filters)
