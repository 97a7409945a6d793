"""Whatever a key restricted to queues asks for, nothing of another queue comes out, nor changes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
from uuid_utils import uuid7

from task_queue.api.contract.operation import Operation
from task_queue.api.routes.table import OPERATIONS
from tests.api.answers import complaints
from tests.api.restricted import ABSENT, HIDDEN, ID, Restricted, restricted
from tests.api.servers import DATABASES

pytestmark = pytest.mark.system

TASK = {"action": "uppercase", "data": {"text": "mail-text"}}
NIGHTLY = {"cron": "0 3 * * *", "task": {**TASK, "queue": "mail"}}
BODIES: Mapping[str, tuple[object, ...]] = {
    "publish_task": (
        {**TASK, "queue": "WORD"},
        {**TASK, "queue": "WORD", "priority": 5},
        {**TASK, "queue": "WORD", "unique_key": "WORD-queued"},
        {**TASK, "queue": "mail", "unique_key": "WORD-queued"},
        {"action": "WORD-action", "queue": "mail"},
        {"action": "uppercase", "data": {}, "queue": "WORD"},
    ),
    "publish_batch": (
        {"tasks": [{**TASK, "queue": "mail"}, {**TASK, "queue": "WORD"}]},
        {"tasks": [{**TASK, "queue": "WORD"}] * 2},
    ),
    "redrive": (
        {"queue": "WORD"},
        {"action": "WORD-action"},
        {"error_contains": "WORD-error"},
        {"error_group": "WORD-error"},
        {"ids": "IDS"},
        {"ids": "IDS", "queue": "WORD"},
        {"queue": "mail", "error_contains": "WORD"},
    ),
    **dict.fromkeys(("cancel_tasks", "retry_tasks", "delete_tasks"), ({"ids": "IDS"},)),
    "settle_leases": ({"settlements": [{"lease": "ID-lease", "ack": {}}]},),
    "lease_tasks": ({"max": 10}, {"actions": ["WORD-action"]}),
    "put_schedule": ({**NIGHTLY, "task": {**TASK, "queue": "WORD"}}, NIGHTLY),
}
"""What is asked of operations besides their example; `WORD` and `IDS` stand for what is hidden."""
VARIES = re.compile(
    r'"(created_at|next_cursor|oldest_ready_seconds|processed_at|started_at|run_at)":[^,}]*'
    r"|(?<=^task_queue_oldest_ready_age_seconds\{queue=.mail.\} ).*$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Ask:
    """A request that names what is hidden, or as well what there is not."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: httpx.Client, word: str, ids: Mapping[str, str]) -> httpx.Response:
        """The answer if this word is written for `WORD`, and these ids for those of tasks.

        The lease is among them.
        """

        def written(value: Any) -> Any:  # noqa: ANN401 - any JSON value
            if value == "IDS":
                return [each for name, each in ids.items() if name != "lease"]
            if isinstance(value, str):
                return re.sub("ID-([a-z]+)", lambda match: ids[match[1]], value).replace(
                    "WORD", word
                )
            if isinstance(value, Mapping):
                return {name: written(each) for name, each in value.items()}
            return [written(each) for each in value] if isinstance(value, list) else value

        return client.request(
            self.method,
            written(self.path),
            params=written(self.query),
            json=written(self.body),
            headers={"Idempotency-Key": uuid4().hex} | written(self.headers),
        )


@pytest.fixture(scope="module", params=DATABASES)
def hiding(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restricted]:
    with restricted(request, tmp_path_factory) as found:
        yield found


def asks(operation: Operation) -> Iterator[Ask]:
    """What this operation can be asked about what is hidden."""
    bodies = BODIES.get(operation.operation_id, (operation.example.body,))
    for path in paths(operation):
        for body in bodies if operation.body is not None else (None,):
            yield Ask(operation.method, path, {}, body)
            if operation.operation_id in {"get_task", "publish_task"}:
                yield Ask(operation.method, path, {}, body, {"Prefer": "wait=1"})
    if operation.query is not None and "{" not in operation.path:
        for query in queries(operation):
            yield Ask(operation.method, operation.path, query)


def paths(operation: Operation) -> list[str]:
    """The path with everything that is hidden in the places of its parameters."""
    states = ("dead", "completed", "running", "queued", "scheduled", "cancelled")
    names = ("WORD", "WORD-nightly", "WORD-set", "WORD-action")
    written = [operation.path]
    for parameter in re.findall("{([a-z_]+)}", operation.path):
        ids = {"task_id": [f"ID-{each}" for each in states], "lease": ["ID-lease"]}
        values = ids.get(parameter, names)
        written = [each.replace(f"{{{parameter}}}", value) for each in written for value in values]
    return written


def queries(operation: Operation) -> Iterator[dict[str, str]]:
    assert operation.query is not None
    texts = {"queue": "WORD", "action": "WORD-action", "unique_key": "WORD-queued"}
    texts |= {"key": "WORD-key", "error_group": "WORD-error"}
    known = set(operation.query.model_fields)
    for name, text in {**texts, "error_contains": "WORD-error"}.items():
        if name in known:
            yield {name: text}
            yield {"queue": "mail", name: text}
        if name in known and "order" in known:
            yield {name: text, "order": "oldest", "limit": "1"}
    if "data" in known:
        yield {"data.text": "WORD-text"}
        yield {"data.text": "WORD-text", "status": "queued,scheduled,dead"}


def likened(answer: httpx.Response, word: str) -> tuple[int, dict[str, str], str]:
    """The answer without what differs from one request to the next, and without the word."""
    differing = {"date", "x-request-id", "content-length"}
    headers = {
        name: ID.sub("ID", text).replace(word, "WORD")
        for name, text in answer.headers.items()
        if name not in differing
    }
    text = VARIES.sub("", ID.sub("ID", answer.text)).replace(word, "WORD")
    return answer.status_code, headers, text


def forget(hiding: Restricted, answer: httpx.Response) -> None:
    """Delete what has just been made, which has the word in its name or in a member."""
    if answer.status_code == 201:
        assert hiding.root.delete(answer.url.path).status_code == 204
    elif answer.status_code == 202 and "Location" in answer.headers:
        hiding.root.post(f"{answer.headers['Location']}/cancel")
        assert hiding.root.delete(answer.headers["Location"]).status_code == 204


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.operation_id)
def test_what_is_hidden_is_answered_as_what_there_is_not(
    hiding: Restricted, operation: Operation
) -> None:
    before = hiding.hidden()
    theirs = hiding.hidden_ids | {"lease": hiding.hidden_lease}
    nobodys = {name: str(uuid7()) for name in hiding.hidden_ids} | {
        "lease": f"{uuid7()}.{hiding.hidden_lease.partition('.')[2]}"
    }
    for ask in asks(operation):
        hidden = ask.send(hiding.mine, HIDDEN, theirs)
        forget(hiding, hidden)
        absent = ask.send(hiding.mine, ABSENT, nobodys)
        forget(hiding, absent)
        if absent.status_code == 201 and ask.path not in {
            "/schedules/WORD",
            "/schedules/WORD-action",
        }:
            # The one difference there is: all schedules have one space of names.
            assert hidden.status_code == 409, hidden.text
            assert hidden.json()["detail"].endswith(" is taken; choose another one")
            continue
        assert likened(hidden, HIDDEN) == likened(absent, ABSENT), ask
        asked = ID.findall(f"{hidden.url} {hidden.request.content.decode()}")
        assert not set(ID.findall(hidden.text)) & (set(hiding.hidden_ids.values()) - set(asked)), (
            ask
        )
    assert hiding.hidden() == before
    assert complaints(hiding.server) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.operation_id)
def test_nothing_hidden_is_shown_to_whoever_does_not_name_it(
    hiding: Restricted, operation: Operation
) -> None:
    before = hiding.hidden()
    for query in plain_queries(operation):
        example = operation.example
        path = operation.path.format_map(
            {"task_id": hiding.mine_ids["completed"], **example.path, "name": "mail"}
        )
        cursor: str | None = None
        while True:
            page = query | ({"cursor": cursor} if cursor else {})
            answer = hiding.mine.request(
                operation.method,
                path,
                params=page,
                json=example.body,
                headers=dict(example.headers),
            )
            shown = f"{answer.headers} {answer.text}".lower()
            assert HIDDEN not in shown
            assert not set(ID.findall(shown)) & set(hiding.hidden_ids.values())
            found = answer.json() if answer.headers["Content-Type"].endswith("json") else {}
            if (cursor := found.get("next_cursor")) is None:
                break
    assert hiding.hidden() == before


def plain_queries(operation: Operation) -> Iterator[dict[str, str]]:
    """Every filter and order of a listing, one task on a page."""
    yield {}
    known = set() if operation.query is None else set(operation.query.model_fields)
    if "order" in known:
        for order in ("newest", "oldest"):
            yield {"order": order, "limit": "1"}
            yield {"order": order, "limit": "1", "action": "uppercase"}
            yield {"order": order, "limit": "2", "created_after": "1"}
    if "status" in known:
        yield {"status": "queued,dead,running", "limit": "1"}
        yield {"status": "completed", "action": "uppercase"}
    if "error_contains" in known:
        yield {"error_contains": "error", "limit": "1"}


def test_all_of_it_is_there_for_whoever_sees_all_queues(hiding: Restricted) -> None:
    """The tests above can fail."""
    for path in ("/tasks", "/dead-letters", "/queues", "/schedules", "/openapi.json"):
        assert HIDDEN in hiding.root.get(path).text
    nobodys = dict.fromkeys(hiding.hidden_ids, str(uuid7()))
    for ask in (
        Ask("GET", "/tasks/ID-dead"),
        Ask("GET", "/tasks", {"queue": "WORD"}),
        Ask("POST", "/dead-letters/redrive", body={"queue": "WORD", "error_contains": "none"}),
    ):
        hidden = ask.send(hiding.root, HIDDEN, hiding.hidden_ids)
        assert hidden.status_code == 200
        assert ask.send(hiding.root, ABSENT, nobodys).status_code in {400, 404}
