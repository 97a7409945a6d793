import tarfile
from collections.abc import Callable

import pytest

from tests.docs.curl import needs_curl
from tests.examples.project import SERVE, Project

pytestmark = pytest.mark.system

HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "x; touch pwned",
    "x\ntouch pwned",
    "x' || touch pwned '",
    'x" && touch pwned "',
    "a  b*",
]


@needs_curl
def test_its_page_shows_what_happens(project: Callable[[str], Project]) -> None:
    example = project("shell_farm")
    make, serve, *rest = example.commands
    assert serve.command == SERVE
    example.follow([make], {})
    with example.server() as server:
        example.follow(rest, {"8080": str(server.client.base_url.port)})


def test_nothing_in_the_data_becomes_a_command(project: Callable[[str], Project]) -> None:
    example = project("shell_farm")
    for name in HOSTILE:
        (example.directory / "inbox" / name).mkdir(parents=True)
        (example.directory / "inbox" / name / "file").touch()
    outside = ["../scripts", "", "-rf", ".", "march/../.."]
    with example.server("queues.tasks.max_attempts=1") as server:
        packed = [server.publish("archive", folder=name) for name in HOSTILE]
        refused = [server.publish("archive", folder=name) for name in outside]
        for task_id in packed:
            assert server.wait_for_status(task_id, "completed")["result"] == 1
        for task_id in refused:
            assert "not the name of a folder" in server.wait_for_status(task_id, "dead")["error"]
    assert not list(example.directory.rglob("pwned"))
    for name in HOSTILE:
        with tarfile.open(example.directory / "archives" / f"{name}.tar.gz") as archive:
            assert sorted(archive.getnames()) == [name, f"{name}/file"]
