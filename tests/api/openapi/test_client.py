"""A client that openapi-python-client makes of the description has types, and works."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import DEADLINE_SECONDS, ServerProcess

BIN = Path(sys.executable).parent
USE = """
import sys
from uuid import UUID

from task_queue_client import AuthenticatedClient
from task_queue_client.api.tasks import get_task, publish_task
from task_queue_client.models import ProblemDocument, PublishBody, Queued, TaskWithAttempts

url, key = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=key) as client:
    body = PublishBody.from_dict({"action": "uppercase", "data": {"text": "hello"}})
    queued = publish_task.sync(client=client, body=body, idempotency_key="one")
    assert isinstance(queued, Queued), queued
    task = get_task.sync(task_id=UUID(queued.id), client=client, prefer="wait=30")
    assert isinstance(task, TaskWithAttempts), task
    print(task.status, task.result, task.attempts[0].number)
    waited = publish_task.sync(client=client, body=body, prefer="wait=30")
    assert isinstance(waited, TaskWithAttempts), waited
    print(waited.result)
    later = {"action": "sum", "unique_key": "once", "delay_seconds": 600}
    publish_task.sync(client=client, body=PublishBody.from_dict(later))
    again = publish_task.sync(client=client, body=PublishBody.from_dict(later))
    assert isinstance(again, Queued), again
    print(again.duplicate)
    other = PublishBody.from_dict({"action": "sum"})
    refused = publish_task.sync(client=client, body=other, idempotency_key="one")
    assert isinstance(refused, ProblemDocument), refused
    print(refused.type_)
"""
MYPY = """
[mypy]
strict = true

# Its own methods pass any arguments on to httpx's, which have types.
[mypy-task_queue_client.client]
disable_error_code = arg-type
"""


def ran(directory: Path, *command: str) -> str:
    """What a command of the environment says, which must succeed."""
    ended = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=directory,
        # The generator formats what it makes with ruff.
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MYPYPATH": "."},
        capture_output=True,
        text=True,
        timeout=10 * DEADLINE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_client_can_be_generated_which_has_types_and_publishes_and_reads_a_task(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve().start()
    created = ran(
        server.directory,
        "task-queue",
        "keys",
        "create",
        "client",
        "--scope",
        "publish",
        "--scope",
        "read",
    )
    [key] = [word for word in created.split() if word.startswith("tq")]
    directory = tmp_path / "client"
    directory.mkdir()
    (directory / "openapi.json").write_bytes(server.client.get("/openapi.json").content)
    (directory / "use.py").write_text(USE)
    (directory / "mypy.ini").write_text(MYPY)
    said = ran(
        directory,
        "openapi-python-client",
        "generate",
        "--path=openapi.json",
        "--meta=none",
        "--output-path=task_queue_client",
        "--fail-on-warning",
    )
    assert "WARNING" not in said
    ran(directory, "mypy", "task_queue_client", "use.py")
    url = str(server.client.base_url)
    assert ran(directory, "python", "use.py", url, key).splitlines() == [
        "completed {'output': 'HELLO'} 1",
        "{'output': 'HELLO'}",
        "True",
        "/docs#key-reused",
    ]
