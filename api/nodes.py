"""`/nodes`: who works, and what each runs."""

from collections import defaultdict
from typing import Any

import falcon
from orjson import dumps

from task_queue.actors.messages.reader import ListNodes, ListRunning
from task_queue.actors.tasks.document import moment
from task_queue.actors.tasks.nodes import Node, RunningTask
from task_queue.api.auth.caller import Caller, caller_of
from task_queue.api.edge import Edge


class NodesResource:
    """`GET /nodes` shows the nodes, and the workers that hold leases."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show them, as far as they have to do with queues that the caller sees."""
        caller = caller_of(req)
        nodes = self._edge.ask_reader(ListNodes())
        of_nodes: defaultdict[str, list[RunningTask]] = defaultdict(list)
        of_workers: defaultdict[str, list[RunningTask]] = defaultdict(list)
        for task in self._edge.ask_reader(ListRunning(caller.queues)):
            (of_workers if task.external else of_nodes)[task.worker].append(task)
        now = self._edge.now()
        seen = [_shown(node, of_nodes.pop(node.name, []), caller, now) for node in nodes]
        # What else is running was claimed by nodes that are not known any more.
        workers = of_workers | of_nodes
        document = {
            "nodes": [
                each for each in seen if caller.queues is None or each["queues"] or each["running"]
            ],
            "workers": [
                {"name": name, "running": [_running(task) for task in tasks]}
                for name, tasks in sorted(workers.items())
            ],
        }
        resp.data = dumps(document)

    on_head = on_get


def _shown(node: Node, running: list[RunningTask], caller: Caller, now: float) -> dict[str, Any]:
    return {
        "name": node.name,
        "version": node.version,
        "started_at": moment(node.started_at),
        "seen_at": moment(node.seen_at),
        "status": node.status(now),
        "queues": {name: count for name, count in node.queues.items() if caller.sees(name)},
        "running": [_running(task) for task in running],
    }


def _running(task: RunningTask) -> dict[str, Any]:
    return {
        "id": task.id,
        "action": task.action,
        "queue": task.queue,
        "attempt": task.attempt,
        "started_at": moment(task.started_at),
    }
