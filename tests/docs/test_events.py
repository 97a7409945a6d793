"""The receiver on the page about events takes what the service tells, and nothing else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import files
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually, free_port

SECRET = "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIGV4YW1wbGU="


@pytest.mark.system
def test_the_receiver_of_the_page_believes_the_service_alone(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    page = files((ROOT / "docs" / "events.md").read_text("utf-8"))
    (receiver,) = (file for file in page if file.name == "receiver.py")
    path = tmp_path / receiver.name
    path.write_text(receiver.text)
    port = free_port()
    with subprocess.Popen(
        [sys.executable, path, str(port)],
        env={"WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}/hook"

            def refused() -> bool:
                try:
                    return httpx.post(url, json={"id": "invented"}).status_code == 401
                except httpx.ConnectError:  # it has not begun to listen
                    return False

            eventually(refused, "it listens, and refuses what nobody has signed")
            allowed = 'allow_networks=["127.0.0.1/32"]'
            server = serve(f'callbacks={{secret="{SECRET}",{allowed}}}').start()
            body = {"action": "sum", "data": {"numbers": [1, 2]}, "callback": url}
            task_id = server.client.post("/tasks", json=body).json()["id"]
            assert process.stdout is not None
            assert process.stdout.readline() == f"task.completed {task_id} {{'output': 3}}\n"
        finally:
            process.kill()
            process.wait(DEADLINE_SECONDS)
