"""`GET /metrics` of a real server: what it counts, for whom, and when the database is away."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as families

from tests.api.restricted import HIDDEN, restricted
from tests.api.servers import DATABASES, server_on
from tests.harness import DEADLINE_SECONDS, ServerProcess, eventually

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.reject=tests.actions:reject",
    "actions.fail=tests.actions:fail",
    "actions.lend={external=true}",
    "builtin.fallback=true",
    "queues.fast.driver=memory",
    "queues.tasks.backoff_base_seconds=60",
)
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; Debian: prometheus"
)


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on which some tasks have ended in different ways."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        in_memory = server.client.post("/tasks", json={"action": "sum", "queue": "fast"})
        done = (server.publish("uppercase", text="a"), server.publish("of-any-name"))
        for task_id in (*done, in_memory.json()["id"]):
            server.wait_for_status(task_id, "completed")
        server.wait_for_status(server.publish("reject"), "dead")
        server.wait_for_status(server.publish("fail"), "scheduled")
        server.publish("lend")
        (lease,) = server.client.post("/queues/tasks/lease", json={}).json()["leases"]
        assert server.client.post(f"/leases/{lease['lease']}/ack", json={}).status_code == 200
        yield server


def scraped(server: ServerProcess) -> dict[tuple[str, ...], float]:
    """The value of each sample, by its name and the values of its labels, sorted by their names."""
    answer = server.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (each.name, *(text for _, text in sorted(each.labels.items()))): each.value
        for family in families(answer.text)
        for each in family.samples
    }


def test_what_has_become_of_tasks_is_counted_by_queue_and_action(server: ServerProcess) -> None:
    found = scraped(server)
    for action, outcome in (
        ("uppercase", "completed"),
        ("other", "completed"),
        ("reject", "failed"),
        ("fail", "failed"),
        ("lend", "completed"),
    ):
        assert found["task_queue_tasks_published_total", action, "tasks"] == 1
        assert found["task_queue_attempts_started_total", action, "tasks"] == 1
        assert found["task_queue_attempts_finished_total", action, outcome, "tasks"] == 1
        for kind in ("wait", "run"):
            name = f"task_queue_task_{kind}_duration_seconds"
            assert found[f"{name}_count", action, "tasks"] == 1
            assert 0 <= found[f"{name}_sum", action, "tasks"] < DEADLINE_SECONDS
    assert found["task_queue_tasks_finished_total", "reject", "tasks", "dead"] == 1
    assert found["task_queue_tasks_retried_total", "fail", "tasks"] == 1
    assert found["task_queue_tasks_retried_total", "reject", "tasks"] == 0
    assert found["task_queue_tasks_published_total", "sum", "fast"] == 1
    assert found["task_queue_tasks_finished_total", "sum", "fast", "completed"] == 1


def test_what_is_stored_is_shown_by_queue_and_state(server: ServerProcess) -> None:
    found = scraped(server)
    assert found["task_queue_tasks", "tasks", "completed"] == 3
    assert found["task_queue_tasks", "tasks", "dead"] == 1
    assert found["task_queue_tasks", "tasks", "scheduled"] == 1
    assert found["task_queue_oldest_ready_age_seconds", "tasks"] == 0
    assert found["task_queue_database_up",] == 1
    assert found["task_queue_database_size_bytes",] > 0
    assert found["task_queue_consumers", "fast", "idle"] >= 1
    assert found["task_queue_actors", "down"] == 0
    assert found["task_queue_actor_restarts_total", "consumer"] == 0


def test_requests_are_counted_by_operation_and_status(server: ServerProcess) -> None:
    before = scraped(server).get(("task_queue_http_requests_total", "get_task", "404"), 0)
    assert server.client.get("/tasks/nothing").status_code == 404
    found = scraped(server)
    assert found["task_queue_http_requests_total", "get_task", "404"] == before + 1
    assert found["task_queue_http_requests_total", "publish_task", "202"] == 6
    assert found["task_queue_http_request_duration_seconds_count", "publish_task"] == 6
    assert found["task_queue_http_threads", "busy"] >= 1  # this one
    assert found["task_queue_http_connections", "active"] >= 1
    assert (
        found["task_queue_commit_writes_count",]
        == found["task_queue_commit_duration_seconds_count",]
    )


@needs_promtool
def test_promtool_finds_nothing_wrong(server: ServerProcess) -> None:
    text = server.client.get("/metrics").text
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=nine", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_a_scraper_gets_the_format_that_it_accepts(
    server: ServerProcess, accept: str | None, kind: str
) -> None:
    answer = server.client.get("/metrics", headers={} if accept is None else {"Accept": accept})
    assert answer.headers["Content-Type"] == kind
    read = open_metrics if "openmetrics" in kind else families
    assert "task_queue_build" in {each.name.removesuffix("_info") for each in read(answer.text)}


def test_native_histograms_are_there_for_those_who_accept_them_if_set(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("metrics.native_histograms=true").start()
    server.wait_for_status(server.publish("uppercase", text="a"), "completed")
    accept = {"Accept": "application/openmetrics-text; version=2.0.0"}
    text = server.client.get("/metrics", headers=accept).text
    [line] = re.findall("^task_queue_task_run_duration_seconds{.*$", text, re.MULTILINE)
    assert re.search(r" {count:1,sum:[\d.e-]+,schema:3,.*positive_spans:\[", line) or (
        "zero_count:1" in line  # it took less than a millionth of a second
    )
    assert "task_queue_task_run_duration_seconds_bucket" in server.client.get("/metrics").text


def test_only_an_open_one_is_for_those_without_a_key(
    serve: Callable[..., ServerProcess],
) -> None:
    key = "a-key-that-nobody-guesses-" + "x" * 32
    keys = ("auth.mode=keys", f"auth.keys.mine={{key='{key}', scopes='publish'}}")
    closed = serve(*keys).start()
    assert closed.client.get("/metrics").status_code == 401
    mine = {"Authorization": f"Bearer {key}"}
    assert closed.client.get("/metrics", headers=mine).status_code == 403
    closed.terminate()
    opened = serve(*keys, "metrics.open=true").start()
    assert opened.client.get("/metrics").status_code == 200
    assert opened.client.get("/tasks").status_code == 401
    operation = opened.client.get("/openapi.json").json()["paths"]["/metrics"]["get"]
    assert operation["security"] == []


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_restricted_key_sees_nothing_of_other_queues_nor_sums(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    request.param = kind
    with restricted(request, tmp_path_factory) as hiding:
        text = hiding.mine.get("/metrics").text
        assert 'queue="mail"' in text
        assert HIDDEN not in text
        samples = [each for family in families(text) for each in family.samples]
        assert [each for each in samples if "queue" not in each.labels] == []
        assert f'queue="{HIDDEN}"' in hiding.root.get("/metrics").text


def test_it_answers_when_the_database_is_away(serve: Callable[..., ServerProcess]) -> None:
    server = serve().start()
    server.wait_for_status(server.publish("uppercase", text="a"), "completed")
    file = server.directory / "data" / "tasks.db"
    away = file.rename(file.with_name("away.db"))

    def is_down() -> bool:
        found = scraped(server)
        assert found["task_queue_attempts_finished_total", "uppercase", "completed", "tasks"] == 1
        return (
            found["task_queue_database_up",] == 0 and found["task_queue_commit_failures_total",] > 0
        )

    eventually(is_down, "the database is down")
    away.rename(file)
    eventually(lambda: scraped(server)["task_queue_database_up",] == 1, "it is up again")


def test_who_is_refused_before_it_is_known_what_for_is_counted(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("http.max_body_bytes=1024").start()
    answer = server.client.post("/tasks", content=b"x" * 4096)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert scraped(server)["task_queue_http_requests_total", "other", "413"] == 1
