"""Each thing has one URL, and no parameter passes unseen, whatever the route and the method."""

from collections.abc import Callable

import pytest

from tests.api.answers import problem
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

ID = "01a20149-5375-74f0-9794-6ec863164a48"
ROUTES = [
    ("POST", "/tasks"),
    ("POST", "/tasks/batch"),
    ("GET", f"/tasks/{ID}"),
    ("DELETE", f"/tasks/{ID}"),
    ("POST", f"/tasks/{ID}/cancel"),
    ("POST", f"/tasks/{ID}/retry"),
    ("GET", "/actions"),
    ("GET", "/actions/sum"),
    ("GET", "/queues"),
    ("HEAD", "/queues"),
    ("GET", "/queues/tasks"),
    ("POST", "/queues/tasks/pause"),
    ("POST", "/queues/tasks/resume"),
    ("POST", "/queues/tasks/purge"),
    ("POST", "/dead-letters/redrive"),
    ("GET", "/schedules"),
    ("GET", "/schedules/nightly"),
    ("PUT", "/schedules/nightly"),
    ("DELETE", "/schedules/nightly"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("OPTIONS", "/tasks"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_parameter_is_refused_where_none_is_taken(
    server: ServerProcess, method: str, path: str
) -> None:
    answer = server.client.request(method, f"{path}?queue=mail&limit=1")
    if method == "HEAD":
        assert answer.status_code == 400
        return
    problem(answer, 400, f"queue is not known; {method} {path} has no parameters")


@pytest.mark.parametrize("query", ["?", "?&"])
def test_a_query_without_parameters_is_none(server: ServerProcess, query: str) -> None:
    assert server.client.get(f"/healthz{query}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/tasks/",
        "//tasks",
        "/tasks%2F",
        "/queues//pause",
        "/actions/sum/",
        "/healthz/",
        "/a/",
        "//",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_url_with_an_empty_segment_is_none(server: ServerProcess, method: str, path: str) -> None:
    answer = server.client.request(method, f"{server.client.base_url}{path}")
    detail = problem(answer, 404, "not found")
    assert detail.endswith("; URLs have single slashes, and none at the end")


def test_what_is_listed_can_be_asked_for_by_its_name(
    serve: Callable[..., ServerProcess],
) -> None:
    names = ["Mail", "mail.eu", "mail:send", "_mail-2", "m" * 200]
    server = serve(
        *(f'queues."{name}".concurrency=1' for name in names),
        *(f'actions."{name}"="tests.actions:record"' for name in names),
        *(
            f'schedules."{name}"={{cron = "0 0 1 1 *", task = {{action = "{name}"}}}}'
            for name in names
        ),
    ).start()
    for kind in ("actions", "queues", "schedules"):
        listed = [each["name"] for each in server.client.get(f"/{kind}").json()[kind]]
        assert set(names) <= set(listed)
        for name in listed:
            assert server.client.get(f"/{kind}/{name}").json()["name"] == name
    for name in names:
        answer = server.client.post("/tasks", json={"action": name, "queue": name, "data": {}})
        assert answer.status_code == 202
        assert server.client.post(f"/queues/{name}/pause").json()["paused"] is True
        found = server.client.get("/tasks", params={"queue": name, "action": name}).json()
        assert found["count"] == 1
