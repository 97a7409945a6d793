"""`/actions` and `/actions/{name}`: what tasks can do, and what data it takes."""

import falcon

from task_queue.actors.errors import NotFoundError
from task_queue.actors.system import ActorSystem
from task_queue.api.json_codec import dumps


class ActionsResource:
    """`GET /actions` lists all actions, `GET /actions/{name}` shows one."""

    def __init__(self, system: ActorSystem) -> None:
        """Store what there is to be shown.

        Args:
            system: Whom to ask.
        """
        self._system = system

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """All actions, by name."""
        actions = self._system.actions
        resp.data = dumps({"actions": [actions.described(name) for name in actions.names]})

    on_head = on_get

    def on_get_one(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The action, or `404`."""
        document = self._system.actions.described(name)
        if document is None:
            message = "action not found"
            raise NotFoundError(message)
        resp.data = dumps(document)

    on_head_one = on_get_one
