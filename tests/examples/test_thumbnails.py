from collections.abc import Callable

import pytest

from tests.docs.curl import needs_curl
from tests.examples.project import SERVE, Project

pytestmark = pytest.mark.system


@needs_curl
def test_its_page_shows_what_happens(project: Callable[[str], Project]) -> None:
    example = project("thumbnails")
    draw, serve, *rest = example.commands
    assert (draw.command, serve.command) == ("python draw.py", SERVE)
    example.follow([draw], {})
    with example.server() as server:
        example.follow(rest, {"8080": str(server.client.base_url.port)})
    assert len(list((example.directory / "thumbnails").iterdir())) == 3
