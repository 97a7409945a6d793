import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.docs.curl import needs_curl
from tests.examples.project import SERVE, Project
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

LANGUAGES = {
    "python": (["python", "python/worker.py"], ["python"]),
    "node": (["node", "node/worker.mjs"], ["node"]),
    "shell": (["sh", "shell/worker.sh"], ["curl", "jq"]),
}
every_language = pytest.mark.parametrize("language", LANGUAGES)


def command_of(language: str) -> Sequence[str]:
    """How the worker is started, if what it needs is there."""
    command, needs = LANGUAGES[language]
    for each in needs:
        if each != "python" and shutil.which(each) is None:
            pytest.skip(f"there is no {each}")
    return command


@contextmanager
def worker(
    example: Project, server: ServerProcess, language: str, **environ: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run the worker of this language, which has to end well when it is stopped."""
    url = str(server.client.base_url).rstrip("/")
    process = subprocess.Popen(
        command_of(language),
        cwd=example.directory,
        env=example.environ | {"TASK_QUEUE_URL": url} | environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert " works for " in process.stdout.readline()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(timeout=30) == 0
            finally:
                process.kill()


@needs_curl
@every_language
def test_its_page_shows_what_happens(project: Callable[[str], Project], language: str) -> None:
    command_of(language)
    example = project("workers")
    serve, *rest = example.commands
    assert serve.command == SERVE
    page = (example.directory / "README.md").read_text("utf-8")
    assert re.search(rf"^    {' '.join(command_of(language))}$", page, re.MULTILINE)
    with example.server() as server, worker(example, server, language):
        example.follow(rest, {"8080": str(server.client.base_url.port)})


@every_language
def test_a_worker_extends_its_lease_and_hears_of_a_cancel(
    project: Callable[[str], Project], language: str
) -> None:
    example = project("workers")
    with (
        example.server() as server,
        worker(example, server, language, LEASE_SECONDS="2"),
    ):
        done = server.publish("resize", width=3, height=4, seconds=4)
        task = server.wait_for_status(done, "completed")
        assert (task["result"], task["attempt"]) == ({"area": 12}, 1)
        long = server.publish("resize", width=3, height=4, seconds=600)
        server.wait_for_status(long, "running")
        server.client.post(f"/tasks/{long}/cancel")
        server.wait_for_status(long, "cancelled")


@every_language
def test_a_worker_that_is_stopped_gives_its_task_back(
    project: Callable[[str], Project], language: str
) -> None:
    example = project("workers")
    with example.server() as server:
        with worker(example, server, language) as process:
            task_id = server.publish("resize", width=3, height=4, seconds=600)
            assert process.stdout is not None
            assert process.stdout.readline() == f"doing {task_id}\n"
        task = server.client.get(f"/tasks/{task_id}").json()
        assert task["status"] in {"scheduled", "queued"}
        assert (task["attempt"], task["attempts"]) == (0, [])
        eventually(
            lambda: server.client.get(f"/tasks/{task_id}").json()["status"] == "queued",
            "it is ready again",
        )
