"""The spans of publishes and runs, as whoever speaks OpenTelemetry's protocol gets them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.endpoint import Endpoint
from tests.harness import ROOT, ServerProcess, eventually, put_database

pytestmark = pytest.mark.system

TRACE_ID, PARENT_ID = "1" * 32, "2" * 16
GIVEN = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
NOT_SAMPLED = {"traceparent": f"00-{'3' * 32}-{PARENT_ID}-00"}
EAGER = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@dataclass(frozen=True)
class Traced:
    """A server that makes spans, and who gets them."""

    server: ServerProcess
    receiver: Endpoint
    called: Endpoint

    @property
    def spans(self) -> list[Span]:
        return spans_of(self.receiver)

    def of_task(self, task_id: str, name: str, number: int = 1) -> list[Span]:
        """Its spans by this name, as soon as there are so many."""

        def look() -> list[Span]:
            found = [
                each
                for each in self.spans
                if each.name == name and attributes(each).get("messaging.message.id") == task_id
            ]
            return found if len(found) >= number else []

        return eventually(look, f"{number} spans {name} of {task_id}")

    def publish(self, action: str, headers: dict[str, str] | None = None, **members: Any) -> str:  # noqa: ANN401
        body = {"action": action, **members}
        answer = self.server.client.post("/tasks", json=body, headers=headers or {})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def spans_of(receiver: Endpoint) -> list[Span]:
    found = []
    for request in list(receiver.requests):
        assert request.target == "/v1/traces"
        assert request.headers["content-type"] == "application/x-protobuf"
        exported = ExportTraceServiceRequest.FromString(request.body)
        found += [
            span
            for resource in exported.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    return found


def attributes(span: Span) -> dict[str, Any]:
    values = {each.key: each.value for each in span.attributes}
    return {key: getattr(each, str(each.WhichOneof("value"))) for key, each in values.items()}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Traced]:
    put_database(migrated_file, directory := tmp_path_factory.mktemp("traced"))
    with Endpoint() as receiver, Endpoint() as called:
        server = ServerProcess(
            directory,
            "traces.enabled=true",
            "actions.fail-until=tests.actions:fail_until",
            "actions.reject=tests.actions:reject",
            "actions.inside=tests.traced_actions:make_span",
            "actions.in-process={python='tests.traced_actions:make_span',execution='process'}",
            "actions.lend={external=true}",
            f"actions.call={{http='{called.url()}',allow_networks=['127.0.0.1']}}",
            "queues.tasks.backoff_base_seconds=0.001",
            "queues.other={}",
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url("").rstrip("/"), **EAGER},
        )
        try:
            yield Traced(server.start(), receiver, called)
        finally:
            server.close()


def test_a_publish_a_wait_and_a_run_are_spans_of_one_trace(traced: Traced) -> None:
    task_id = traced.publish("uppercase", GIVEN, data={"text": "a"})
    [process] = traced.of_task(task_id, "process tasks")
    [send] = traced.of_task(task_id, "send tasks")
    [wait] = traced.of_task(task_id, "wait tasks")
    assert {each.trace_id.hex() for each in (send, wait, process)} == {TRACE_ID}
    assert send.parent_span_id.hex() == PARENT_ID
    assert process.parent_span_id == wait.parent_span_id == send.span_id
    assert [link.span_id for link in process.links] == [send.span_id]
    assert (send.kind, process.kind) == (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER)
    assert wait.end_time_unix_nano >= wait.start_time_unix_nano
    of_both = {
        "messaging.system": "task_queue",
        "messaging.destination.name": "tasks",
        "messaging.message.id": task_id,
        "task_queue.action": "uppercase",
    }
    for span, operation in ((send, "send"), (process, "process")):
        named = {f"messaging.operation.{kind}": operation for kind in ("name", "type")}
        assert of_both | named == {
            key: value
            for key, value in attributes(span).items()
            if key not in {"task_queue.attempt", "task_queue.wait_seconds"}
        }
    assert attributes(process)["task_queue.attempt"] == 1
    assert attributes(process)["task_queue.wait_seconds"] >= 0
    # What the database has is the span of the publish, so that all attempts belong to it.
    shown = traced.server.task(task_id)["traceparent"]
    assert shown == f"00-{TRACE_ID}-{send.span_id.hex()}-01"


def test_a_publish_without_a_trace_begins_one(traced: Traced) -> None:
    task_id = traced.publish("uppercase", data={"text": "a"})
    [process] = traced.of_task(task_id, "process tasks")
    [send] = traced.of_task(task_id, "send tasks")
    assert send.parent_span_id == b""
    assert (process.trace_id, process.parent_span_id) == (send.trace_id, send.span_id)


def test_each_attempt_has_a_span_and_a_failed_one_says_so(traced: Traced, tmp_path: Path) -> None:
    data = {"file": str(tmp_path / "tries"), "times": 2}
    task_id = traced.publish("fail-until", data=data)
    first, second = sorted(
        traced.of_task(task_id, "process tasks", 2), key=lambda each: each.start_time_unix_nano
    )
    assert first.trace_id == second.trace_id
    assert first.status.code == 2
    assert attributes(first)["error.type"] == "ValueError"
    assert [each.name for each in first.events] == ["exception"]
    assert second.status.code == 0
    task_id = traced.publish("reject")
    [rejected] = traced.of_task(task_id, "process tasks")
    assert attributes(rejected)["error.type"] == "failed"


@pytest.mark.parametrize("action", ["inside", "in-process"])
def test_an_action_runs_in_the_span_of_its_attempt(traced: Traced, action: str) -> None:
    task_id = traced.publish(action, GIVEN)
    traced.server.wait_for_status(task_id, "completed")
    [process] = traced.of_task(task_id, "process tasks")
    result = traced.server.task(task_id)["result"]
    assert result["traceparent"] == f"00-{TRACE_ID}-{process.span_id.hex()}-01"
    assert result["trace_id"] == TRACE_ID
    if action == "inside":  # another process has no exporter unless the action makes one
        inside = eventually(
            lambda: [each for each in traced.spans if each.name == "inside"], "the action's span"
        )
        assert inside[0].parent_span_id == process.span_id
    line = traced.server.wait_for_log("task completed", id=task_id)
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, process.span_id.hex())


def test_an_http_action_carries_the_span_on(traced: Traced) -> None:
    task_id = traced.publish("call", GIVEN)
    [process] = traced.of_task(task_id, "process tasks")
    headers = traced.called.wait_for_request().headers
    assert headers["traceparent"] == f"00-{TRACE_ID}-{process.span_id.hex()}-01"


def test_a_worker_gets_the_span_of_the_publish(traced: Traced) -> None:
    task_id = traced.publish("lend", GIVEN)
    (leased,) = traced.server.client.post("/queues/tasks/lease", json={}).json()["leases"]
    [send] = traced.of_task(task_id, "send tasks")
    assert leased["task"]["traceparent"] == f"00-{TRACE_ID}-{send.span_id.hex()}-01"


def test_a_batch_is_one_span_that_says_how_many(traced: Traced) -> None:
    tasks = [{"action": "sum"}, {"action": "sum"}, {"action": "sum", "queue": "other"}]
    for some, name in ((tasks[:2], "send tasks"), (tasks, "send")):
        answer = traced.server.client.post("/tasks/batch", json={"tasks": some}, headers=GIVEN)
        ids = answer.json()["ids"]
        [first, *_] = traced.of_task(ids[0], "process tasks")

        def send(span_id: bytes = first.parent_span_id) -> list[Span]:
            return [each for each in traced.spans if each.span_id == span_id]

        [span] = eventually(send, "the span of the batch")
        assert span.name == name
        assert attributes(span)["messaging.batch.message_count"] == len(some)


def test_what_its_publisher_does_not_sample_is_not_sent(traced: Traced) -> None:
    silent = traced.publish("uppercase", NOT_SAMPLED, data={"text": "a"})
    traced.server.wait_for_status(silent, "completed")
    heard = traced.publish("uppercase", data={"text": "a"})
    traced.of_task(heard, "process tasks")
    ids = {attributes(each).get("messaging.message.id") for each in traced.spans}
    assert silent not in ids
    assert traced.server.task(silent)["traceparent"].endswith("-00")


def test_the_last_spans_are_sent_before_the_end(
    serve: Callable[..., ServerProcess],
) -> None:
    with Endpoint() as receiver:
        server = serve("traces.enabled=true")
        server.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url("").rstrip("/")
        server.start()
        server.wait_for_status(server.publish("uppercase", text="a"), "completed")
        assert server.terminate() == 0
        names = {each.name for each in spans_of(receiver)}
        assert names == {"send tasks", "wait tasks", "process tasks"}


def test_without_the_extra_the_start_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"  # as if it were not there
        " sys.argv = ['task-queue', 'serve', '--set', 'traces.enabled=true'];"
        " from task_queue.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'task-queue[otel]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_opentelemetry_is_imported_while_traces_are_off(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from task_queue.actors.system import ActorSystem\n"
        "from task_queue.api.server import serve\n"
        "from task_queue.config.layers import load\n"
        "system = ActorSystem(load(environ={}).settings, on_too_many_restarts=lambda: None)\n"
        "assert system.tracing is None\n"
        "assert system._queue_specs.runner is system.actions\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_lines_have_the_trace_of_a_publish_also_when_traces_are_off(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("log.level=DEBUG").start()
    answer = server.client.post("/tasks", json={"action": "sum"}, headers=GIVEN)
    asked = server.wait_for_log("request", request_id=answer.headers["X-Request-ID"])
    assert asked["trace_id"] == TRACE_ID
    done = eventually(
        lambda: [
            each
            for each in server.log
            if (each["event"], each.get("id")) == ("task completed", answer.json()["id"])
        ],
        "the task is done",
    )
    assert done[0]["trace_id"] == TRACE_ID
    assert "span_id" not in done[0]
    other = server.client.post("/tasks", json={"action": "sum"})
    assert "trace_id" not in server.wait_for_log(
        "request", request_id=other.headers["X-Request-ID"]
    )
