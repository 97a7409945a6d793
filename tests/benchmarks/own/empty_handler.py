"""The server with nothing behind it: what the HTTP server costs, and no more.

The same command line, settings and serving process; only the actors and the application are
replaced, so that it stays the same server however that one changes.
"""

from types import SimpleNamespace
from unittest.mock import patch

import falcon

from task_queue.actors.actions.process.child import Children
from task_queue.api.cli import main
from task_queue.api.responses.answer import JSON

_ANSWER = b'{"id":"01a1ffdb-9d85-745c-b59d-278a47ee03a3","status":"queued"}'


class _NoActors:
    """Stands where the actors would be."""

    actions = None
    queues = SimpleNamespace(info={})

    def __init__(self, *_: object, **__: object) -> None:
        self.children = Children()

    def start(self, _schedules: object) -> None:
        """There is nothing to start."""

    def drain(self, _drain_seconds: float) -> list[str]:
        """There is nothing to drain."""
        return []

    def stop(self) -> None:
        """There is nothing to stop."""


class _Empty:
    """Answers `GET` with `200`; reads the body of `POST` and answers `202`."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = _ANSWER

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.bounded_stream.read()
        resp.status = falcon.HTTP_202
        resp.data = _ANSWER


def _create_app(*_: object) -> "falcon.App[falcon.Request, falcon.Response]":
    app = falcon.App(media_type=JSON)
    app.add_route("/tasks", _Empty())
    app.add_route("/readyz", _Empty())
    return app


if __name__ == "__main__":
    with patch.multiple(
        "task_queue.api.server.serve", ActorSystem=_NoActors, create_app=_create_app
    ):
        main()
