"""Where the dashboard is, and whether there is one."""

from collections.abc import Callable

import pytest

from tests.api.answers import problem
from tests.api.ui.pages import said_after, submit
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

HTML = {"Accept": "text/html"}


def test_it_can_be_turned_off(serve: Callable[..., ServerProcess]) -> None:
    client = serve("ui.enabled=false").start().client
    for path in ("/", "/ui", "/ui/tasks", "/ui/login"):
        assert problem(client.get(path, headers=HTML), 404, "not found")


def test_all_its_urls_begin_with_the_prefixes(serve: Callable[..., ServerProcess]) -> None:
    settings = ("http.url_prefix=/queue", "http.trusted_proxies=127.0.0.1")
    client = serve(*settings).start().client
    client.headers["X-Forwarded-Prefix"] = "/outer"
    page = client.get("/ui/")
    assert page.status_code == 200
    for attribute in ('href="', 'src="', 'action="'):
        for part in page.text.split(attribute)[1:]:
            assert part.startswith(("/outer/queue/", "#")), part[:60]
    assert client.get("/", headers=HTML).headers["Location"] == "/outer/queue/ui/"
    path = "/ui/queues/tasks/pause"
    answer = submit(client, path)
    location = answer.headers["Location"]
    assert location.startswith("/outer/queue/ui/queues/tasks?")
    # What the proxy has added it takes off again.
    answer.headers["Location"] = location.removeprefix("/outer/queue")
    assert said_after(client, answer) == "The queue tasks is paused."
