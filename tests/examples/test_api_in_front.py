from collections.abc import Callable

import pytest

from tests.docs.curl import needs_curl
from tests.examples.project import SERVE, Project

pytestmark = pytest.mark.system


@needs_curl
def test_its_page_shows_what_happens(project: Callable[[str], Project]) -> None:
    example = project("api_in_front")
    serve, front, *rest = example.commands
    assert (serve.command, front.command) == (SERVE, "python -m api")
    with (
        example.server() as server,
        example.program("-m", "api", QUEUE_URL=str(server.client.base_url), PORT="0") as program,
    ):
        example.follow(rest, {"8080": str(server.client.base_url.port), "8000": program.port})
