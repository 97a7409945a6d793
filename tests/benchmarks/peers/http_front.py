"""The smallest honest HTTP handler in front of a peer: parse, publish, answer.

`python -m tests.benchmarks.peers.http_front PACKAGE STORE PORT THREADS CORES`, where CORES is
`all` or `one`.
"""

import logging
import os
import sys
from importlib import import_module
from typing import Any

import falcon
import orjson
from waitress.server import create_server

from tests.benchmarks.peer import HTTPClient


class Tasks:
    """`/tasks`."""

    def __init__(self, client: HTTPClient[Any]) -> None:
        self._client = client

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 202 when the task is published."""
        task = orjson.loads(req.bounded_stream.read())
        published = self._client.publish(task["data"]["numbers"])
        resp.status = falcon.HTTP_202
        resp.data = orjson.dumps({"id": published.id, "status": "queued"})


class Task:
    """`/tasks/{task_id}`."""

    def __init__(self, client: HTTPClient[Any]) -> None:
        self._client = client

    def on_get(self, _req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Say whether its result is there."""
        status = "completed" if self._client.has_result(task_id) else "queued"
        resp.data = orjson.dumps({"id": task_id, "status": status})


def main(package: str, store: str, port: str, threads: str, cores: str) -> None:
    """Serve until a signal."""
    if cores == "one" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    logging.getLogger("waitress").setLevel(logging.ERROR)
    app = falcon.App()
    client = import_module(f"{__package__}.{package}_peer").Client(store)
    app.add_route("/tasks", Tasks(client))
    app.add_route("/tasks/{task_id}", Task(client))
    create_server(app, host="127.0.0.1", port=int(port), threads=int(threads), ident=None).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
