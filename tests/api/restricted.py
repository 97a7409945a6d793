"""A server with keys, and tasks in a queue that one of them does not see."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from task_queue.actors.store.database import Database
from task_queue.config.layers import load
from tests.api.servers import server_on
from tests.databases import execute
from tests.harness import DEADLINE_SECONDS, ServerProcess

HIDDEN = "hidden"
"""The queue that `mine` does not see; the names and texts of all that is there begin with it."""
ABSENT = "absent"
"""As long a word, with which nothing begins."""
MINE = ("mail", "sms")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
KEYS = {
    "root": ("admin", ""),
    "mine": ("publish,read,work,operate", "mail,sms,fax"),
    "again": ("publish", "fax,sms,mail"),
    "theirs": ("publish,read,work,operate", HIDDEN),
}
"""The scopes and queues of each; there is no queue `fax`."""
SETTINGS = (
    "auth.mode=keys",
    "builtin.fallback=false",
    "actions.reject=tests.actions:reject",
    "actions.lend={external=true}",
    "queues.mail={concurrency=1, max_length=1000}",
    "queues.sms.concurrency=1",
    f"queues.{HIDDEN}={{concurrency=1, max_length=1000}}",
    f"schedules.{HIDDEN}-set={{cron='0 3 * * *', task={{action='sum', queue='{HIDDEN}'}}}}",
)


@dataclass(frozen=True)
class Restricted:
    """The server, and a client with each key.

    Attributes:
        server: Its own client has the key `root`.
        mine: Sees `mail` and `sms`.
        again: As `mine`, with another key.
        theirs: Sees what is hidden alone.
        mine_ids: The tasks on `mail`, by state.
        hidden_ids: The tasks that are hidden, by state.
        hidden_lease: The lease of the one that runs.
    """

    server: ServerProcess
    mine: httpx.Client
    again: httpx.Client
    theirs: httpx.Client
    mine_ids: dict[str, str]
    hidden_ids: dict[str, str]
    hidden_lease: str

    @property
    def root(self) -> httpx.Client:
        return self.server.client

    def hidden(self) -> dict[str, Any]:
        """All that is hidden, as `root` sees it."""
        (queue,) = (
            each for each in self.root.get("/queues").json()["queues"] if each["name"] == HIDDEN
        )
        return {
            "tasks": [self.server.task(task_id) for task_id in self.hidden_ids.values()],
            "number": len(self.root.get("/tasks", params={"queue": HIDDEN}).json()["tasks"]),
            "paused": queue["paused"],
            "counts": queue["counts"],
            "schedules": [
                self.root.get(f"/schedules/{HIDDEN}-{name}").json() for name in ("set", "nightly")
            ],
        }


def key_of(name: str) -> str:
    """A key, which nobody guesses."""
    return f"the-key-of-{name}-{'x' * 32}"


@contextmanager
def restricted(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, *settings: str
) -> Iterator[Restricted]:
    """Such a server, with a task in every state on `mail` and as many that are hidden."""
    keys = [
        f"auth.keys.{name}={{key='{key_of(name)}', scopes='{scopes}'"
        + (f", queues='{queues}'}}" if queues else "}")
        for name, (scopes, queues) in KEYS.items()
    ]
    with ExitStack() as stack:
        server = stack.enter_context(server_on(request, factory, *SETTINGS, *keys, *settings))
        server.client.headers["Authorization"] = f"Bearer {key_of('root')}"
        clients = {
            name: stack.enter_context(
                httpx.Client(
                    base_url=server.client.base_url,
                    timeout=DEADLINE_SECONDS,
                    headers={"Authorization": f"Bearer {key_of(name)}"},
                )
            )
            for name in KEYS
            if name != "root"
        }
        ids, leases = {}, {}
        for queue in ("mail", HIDDEN):
            ids[queue], leases[queue] = _fill(server, queue)
        # Actions that the settings do not have any more.
        execute(
            _database_of(server),
            *(
                f"UPDATE tasks SET action = '{queue}-action' WHERE id = '{each['cancelled']}'"  # noqa: S608
                for queue, each in ids.items()
            ),
        )
        yield Restricted(
            server,
            **clients,
            mine_ids=ids["mail"],
            hidden_ids=ids[HIDDEN],
            hidden_lease=leases[HIDDEN],
        )


def _database_of(server: ServerProcess) -> Database:
    urls = [text.partition("=")[2] for text in server.settings if text.startswith("database.url=")]
    url = urls[0] if urls else f"sqlite:///{server.directory}/data/tasks.db"
    return Database(load(overrides=[f"database.url={url}"], environ={}).settings.database.url)


def _fill(server: ServerProcess, queue: str) -> tuple[dict[str, str], str]:
    """Put a task in every state on the queue; return their ids, and the lease of the one that runs.

    That is leased to a worker.
    """

    def publish(status: str, action: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        body = {"action": action, "queue": queue, "unique_key": f"{queue}-{status}", **members}
        answer = server.client.post("/tasks", json=body)
        assert answer.status_code == 202, answer.text
        ids[status] = answer.json()["id"]
        if status in {"dead", "completed"}:
            server.wait_for_status(ids[status], status)

    ids: dict[str, str] = {}
    publish("dead", "reject", data={"message": f"{queue}-error"})
    publish("completed", "uppercase", data={"text": f"{queue}-text"})
    publish("running", "lend", data={"text": f"{queue}-text"})
    asked = {"lease_seconds": 3_600, "worker": f"{queue}-worker"}
    (lease,) = server.client.post(f"/queues/{queue}/lease", json=asked).json()["leases"]
    assert server.client.post(f"/queues/{queue}/pause").status_code == 200
    publish("queued", "uppercase", data={"text": f"{queue}-text"}, key=f"{queue}-key")
    publish("scheduled", "uppercase", data={"text": f"{queue}-text"}, delay_seconds=3_600)
    publish("cancelled", "uppercase", data={"text": f"{queue}-text"})
    assert server.client.post(f"/tasks/{ids['cancelled']}/cancel").status_code == 200
    task = {"action": "uppercase", "data": {"text": f"{queue}-text"}, "queue": queue}
    put = server.client.put(f"/schedules/{queue}-nightly", json={"cron": "0 3 * * *", "task": task})
    assert put.status_code == 201
    return ids, str(lease["lease"])
