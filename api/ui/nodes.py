"""`/ui/nodes`: who works, on what, and since when."""

import falcon

from task_queue.api.ui.frame import Frame
from task_queue.api.ui.visit import Visit


class NodesPage:
    """Shows the nodes, and the workers over HTTP."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show them."""
        visit = Visit(self._frame, req, resp)
        visit.show("nodes.html", "Nodes", nodes=visit.look("/nodes"))
