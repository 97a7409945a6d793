"""All URLs begin with a prefix: the server's own, and what a proxy has taken off."""

from collections.abc import Iterator

import pytest

from tests.api.answers import problem, raw
from tests.api.servers import DATABASES, server_on
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

TASK = {"action": "uppercase", "data": {"text": "x"}}
OUTER = {"X-Forwarded-Prefix": "/outer"}


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with server_on(
        request,
        tmp_path_factory,
        "http.url_prefix=/queue",
        "http.trusted_proxies=127.0.0.1",
        "queues.small.max_length=1",
        "queues.small.concurrency=1",
    ) as server:
        server.client.post("/queues/small/pause")
        yield server


def test_the_banner_names_the_prefix(server: ServerProcess) -> None:
    assert server.client.base_url.path == "/queue/"
    assert f"{server.client.base_url}tasks -H" in "".join(server.output)
    assert f"dashboard {server.client.base_url}ui/\n" in "".join(server.output)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/tasks", "/queues/tasks", "/actions"])
def test_everything_is_below_it(server: ServerProcess, path: str) -> None:
    assert server.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/tasks", "/healthz", "/queued/tasks", "/queue", "//queue/tasks"]
)
def test_nothing_is_elsewhere(server: ServerProcess, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    detail = problem(raw(server, request.encode()), 404, "not found")
    assert detail.startswith("there is no ")


@pytest.mark.parametrize("headers", [{}, OUTER], ids=["by itself", "taken off"])
@pytest.mark.parametrize(
    "members", [{}, {"priority": 1}, {"unique_key": "k"}, {"queue": "small"}], ids=str
)
def test_a_task_is_at_its_location(
    server: ServerProcess, headers: dict[str, str], members: dict[str, object]
) -> None:
    answer = server.client.post("/tasks", json=TASK | members, headers=headers)
    outer = headers.get("X-Forwarded-Prefix", "")
    if answer.status_code == 429:  # the second on the queue that takes one
        assert answer.json()["type"] == f"{outer}/queue/docs#over-limit"
        return
    location = f"{outer}/queue/tasks/{answer.json()['id']}"
    assert answer.headers["Location"] == location
    shown = server.client.get(location.removeprefix(f"{outer}/queue"))
    assert shown.json()["id"] == answer.json()["id"]


@pytest.mark.parametrize("headers", [{}, OUTER], ids=["by itself", "taken off"])
def test_a_replayed_answer_is_at_the_location_of_who_repeats(
    server: ServerProcess, headers: dict[str, str]
) -> None:
    key = {"Idempotency-Key": "prefix"}
    first = server.client.post("/tasks", json=TASK, headers=key)
    again = server.client.post("/tasks", json=TASK, headers=key | headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    outer = headers.get("X-Forwarded-Prefix", "")
    assert again.headers["Location"] == f"{outer}/queue/tasks/{first.json()['id']}"


def test_a_refusal_of_the_parser_forgets_what_came_before(server: ServerProcess) -> None:
    for _ in range(20):  # in whatever thread
        server.client.get("/healthz", headers=OUTER)
    answer = raw(server, b"GET /queue/tasks HTTP/1.1\r\n\r\n")
    assert answer.json()["type"] == "/queue/docs#malformed-request"


def test_the_openapi_document_names_it(server: ServerProcess) -> None:
    for headers, url in (({}, "/queue"), (OUTER, "/outer/queue")):
        document = server.client.get("/openapi.json", headers=headers).json()
        assert document["servers"] == [{"url": url}]


def test_what_a_proxy_says_wrongly_is_a_bad_request(server: ServerProcess) -> None:
    answer = server.client.get("/tasks", headers={"X-Forwarded-For": "<b>"})
    text = "X-Forwarded-For of a proxy must be addresses, separated by commas, not <b>"
    assert problem(answer, 400, text) == text


def test_the_host_that_a_proxy_was_asked_for_is_looked_at(server: ServerProcess) -> None:
    answer = server.client.get("/tasks", headers={"X-Forwarded-Host": "evil.example"})
    assert answer.status_code == 421
    page = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}  # of a browser beside a proxy
    assert server.client.get("/tasks", headers=page).status_code == 421
    own = {"X-Forwarded-Host": "localhost:1", "X-Forwarded-Proto": "https"}
    page = own | {"Origin": "https://localhost:1"}
    assert server.client.post("/tasks", json=TASK, headers=page).status_code == 202
    page["Origin"] = "https://localhost:2"
    assert server.client.post("/tasks", json=TASK, headers=page).status_code == 403
