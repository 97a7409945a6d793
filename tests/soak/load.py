"""A mixed load that goes on until it is stopped, and what becomes of each of its tasks."""

import threading
import time
from collections import Counter, deque

from tests.harness import DEADLINE_SECONDS, ServerProcess
from tests.soak.kinds import KINDS, Kind, rounds

_PAUSE_SECONDS = 0.05
"""Between two publishes."""
_MAX_UNFINISHED = 40
"""With so many tasks that are not final it waits, so that a slow machine has no backlog."""


class Load:
    """Publishes one task after the other, and cancels those that are to be cancelled.

    Attributes:
        ended: How many tasks of each kind are over and were seen so.
        problems: What was not as it has to be, and how often.
    """

    def __init__(self, server: ServerProcess, seed: int = 0) -> None:
        self.ended: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self._server = server
        self._seed = seed
        self._stopping = threading.Event()
        self._pending: dict[str, Kind] = {}
        self._to_cancel: deque[str] = deque()
        self._took_seconds: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Publish no more than one of each kind, and cancel what is still to be cancelled."""
        self._stopping.set()
        self._thread.join(DEADLINE_SECONDS)

    def taken_seconds(self) -> list[float]:
        """How long each publish took since the last call."""
        taken, self._took_seconds = self._took_seconds, []
        return taken

    def look(self) -> int:
        """See what has become of the tasks; how many are not over.

        Has to be called more often than the server forgets what is over.
        """
        pending = dict(self._pending)
        tasks = {task["id"]: task for task in self._server.all_tasks()}
        for task_id, kind in pending.items():
            task = tasks.get(task_id)
            if task is None:
                self._over(task_id, kind, f"{kind.name} is lost")
            elif task["status"] in {"completed", "dead", "cancelled"}:
                self._over(task_id, kind, kind.problem(task))
        return len(self._pending)

    def unfinished(self) -> list[str]:
        """The kinds of the tasks that are not over, as far as was seen."""
        return [kind.name for kind in self._pending.values()]

    def _over(self, task_id: str, kind: Kind, problem: str | None) -> None:
        del self._pending[task_id]
        self.ended[kind.name] += 1
        if problem:
            self.problems[problem] += 1

    def _run(self) -> None:
        try:
            for number, kind in enumerate(rounds(self._seed)):
                while self._is_far_behind():
                    self._cancel_one()
                    if self._stopping.wait(_PAUSE_SECONDS):
                        break
                if self._stopping.wait(_PAUSE_SECONDS) and number >= len(KINDS):
                    break
                self._publish(kind)
                self._cancel_one()
            while self._to_cancel:
                self._cancel_one()
                time.sleep(_PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the load is over
            self.problems[f"the load ended: {type(error).__name__}: {error}"] += 1

    def _is_far_behind(self) -> bool:
        counts = counts_of(self._server)
        return sum(counts[name] for name in ("scheduled", "queued", "running")) > _MAX_UNFINISHED

    def _publish(self, kind: Kind) -> None:
        task = {"action": kind.name, "data": kind.data, **kind.options}
        started = time.perf_counter()
        answer = self._server.client.post("/tasks", json=task)
        self._took_seconds.append(time.perf_counter() - started)
        if answer.status_code != 202:
            self.problems[f"a publish was answered {answer.status_code}"] += 1
            return
        task_id = answer.json()["id"]
        self._pending[task_id] = kind
        if kind.status == "cancelled":
            self._to_cancel.append(task_id)

    def _cancel_one(self) -> None:
        """Look at the next one that is to be cancelled, and cancel it if it runs."""
        if not self._to_cancel:
            return
        task_id = self._to_cancel.popleft()
        match self._server.task(task_id)["status"]:
            case "running":
                answer = self._server.client.post(f"/tasks/{task_id}/cancel")
                if answer.status_code != 202:
                    self.problems[f"a cancel was answered {answer.status_code}"] += 1
            case "scheduled" | "queued":
                self._to_cancel.append(task_id)


def counts_of(server: ServerProcess) -> dict[str, int]:
    """The server's tasks by state."""
    counts: dict[str, int] = server.client.get("/queues/tasks").json()["counts"]
    return counts
