"""`/actions` and `/actions/{name}`: what tasks can do, and what data it takes."""

import falcon
from orjson import dumps

from task_queue.actors.errors import NotFoundError
from task_queue.api.edge import Edge


class ActionsResource:
    """`GET /actions` lists all actions, `GET /actions/{name}` shows one."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Show all actions, by name."""
        actions = self._edge.actions
        resp.data = dumps({"actions": [actions.described(name) for name in actions.names]})

    on_head = on_get

    def on_get_one(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show the action, or `404`."""
        document = self._edge.actions.described(name)
        if document is None:
            message = "action not found"
            raise NotFoundError(message)
        resp.data = dumps(document)

    on_head_one = on_get_one
