"""`/ui/`: what is wrong, what waits, who works."""

import falcon

from task_queue.api.ui.frame import Frame
from task_queue.api.ui.visit import Visit


class OverviewPage:
    """Shows health, queues, schedules and nodes on one page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show it."""
        visit = Visit(self._frame, req, resp)
        visit.show("overview.html", "Overview", queues=visit.get("/queues")["queues"])
