"""`/ui/queues/{name}`: one queue, and what can be done to it."""

from collections.abc import Mapping
from typing import Any

import falcon

from task_queue.api.ui.charts import chart
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.health import Trouble
from task_queue.api.ui.render import counted
from task_queue.api.ui.visit import Question, Visit
from task_queue.api.ui.waiting import LOOKED, tasks_wait, why_tasks_wait

SHOWN_STATES = ("queued", "scheduled", "running", "completed", "dead", "cancelled")
"""The states of tasks as columns: first what could start now."""


class QueuePage:
    """Shows a queue; pauses, resumes and purges it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show the queue."""
        visit = Visit(self._frame, req, resp)
        queue = visit.get(f"/queues/{name}")
        hour = visit.look("/queues/figures", span="hour", queue=name)
        day = visit.look("/queues/figures", span="day", queue=name)
        charts = [chart(hour, name, "hour"), chart(day, name, "day")]
        visit.show(
            "queue.html",
            f"Queue {name}",
            states=SHOWN_STATES,
            queue=queue,
            reasons=_reasons(visit, queue),
            charts=[each for each in charts if each is not None],
        )

    def on_get_pause(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Ask whether to pause it."""
        visit = Visit(self._frame, req, resp)
        counts = visit.get(f"/queues/{name}")["counts"]
        waiting, running = counts["queued"], counts["running"]
        visit.ask_first(
            Question(
                title=f"Pause the queue {name}?",
                lines=[
                    f"Its {counted(waiting, 'queued task')} will wait, on all nodes.",
                    f"Running tasks go on ({running:,} now), and new ones are still accepted.",
                ],
                button="Pause",
                back=_path(name),
            )
        )

    def on_post_pause(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Pause it."""
        visit = Visit(self._frame, req, resp)
        visit.change("POST", f"/queues/{name}/pause")
        visit.leave(_path(name), f"The queue {name} is paused.")

    def on_get_resume(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Ask whether to resume it."""
        visit = Visit(self._frame, req, resp)
        waiting = visit.get(f"/queues/{name}")["counts"]["queued"]
        visit.ask_first(
            Question(
                title=f"Resume the queue {name}?",
                lines=[f"It hands out tasks again: {counted(waiting, 'task')} can start at once."],
                button="Resume",
                back=_path(name),
            )
        )

    def on_post_resume(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Resume it."""
        visit = Visit(self._frame, req, resp)
        visit.change("POST", f"/queues/{name}/resume")
        visit.leave(_path(name), f"The queue {name} hands out tasks again.")

    def on_get_purge(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Ask whether to purge it."""
        visit = Visit(self._frame, req, resp)
        counts = visit.get(f"/queues/{name}")["counts"]
        waiting = counted(counts["queued"] + counts["scheduled"], "task")
        visit.ask_first(
            Question(
                title=f"Purge the queue {name}?",
                lines=[
                    f"{waiting} will be cancelled: all that wait, on all nodes.",
                    "Running tasks go on. What is cancelled can be retried one by one.",
                ],
                button="Purge",
                back=_path(name),
                harms=True,
            )
        )

    def on_post_purge(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Cancel what waits on it."""
        visit = Visit(self._frame, req, resp)
        purged = visit.change("POST", f"/queues/{name}/purge")
        more = " There is more: purge it again." if purged.get("more") else ""
        tasks = counted(purged["count"], "task")
        visit.leave(_path(name), f"Purged the queue {name}: {tasks} cancelled.{more}")


def _reasons(visit: Visit, queue: Mapping[str, Any]) -> list[Trouble]:
    if not tasks_wait(queue):
        return []
    oldest = visit.get("/tasks", queue=queue["name"], status="queued", order="oldest", limit=LOOKED)
    actions = visit.get("/actions")["actions"]
    nodes = visit.look("/nodes") or {"nodes": [], "workers": []}
    return why_tasks_wait(queue, oldest["tasks"], actions, nodes)


def _path(name: str) -> str:
    return f"/ui/queues/{name}"
