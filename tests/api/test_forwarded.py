"""Whom a proxy is believed, and what; and URLs that begin with a prefix."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import falcon
import pytest
from falcon.testing import create_req

from task_queue.api.forwarded import BehindProxies, Below
from task_queue.api.hosts import Hosts
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.problems import NOT_FOUND
from task_queue.api.responses.urls import put_back, url

PROXY = "10.1.0.1"
HOSTS = Hosts(["inner"], (), "machine")
TRUSTED = (PROXY, "10.2.0.0/16", "fd00::/8")


@pytest.fixture(autouse=True)
def no_prefix_is_left() -> Iterator[None]:
    yield
    put_back("")


def taken(
    told: Mapping[str, str], peer: str = PROXY, trusted: Collection[str] = TRUSTED
) -> dict[str, Any]:
    """What is in the environ once the headers `X-Forwarded-…` have been looked at."""
    headers = {f"X-Forwarded-{name}": value for name, value in told.items()}
    req = create_req(headers=headers, remote_addr=peer, host="inner")
    BehindProxies(HOSTS, trusted).process_request(req, falcon.Response())
    return dict(req.env)


def refused(**forwarded: str) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        taken(forwarded)
    return caught.value.detail


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6,203.0.113.7 , 10.2.3.4", "203.0.113.7"),
        ("made up, 203.0.113.7, fd00::5,10.2.3.4", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:DB8:0::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.2.3.4", "203.0.113.7"),
        ("10.2.0.9, 10.2.3.4", "10.2.0.9"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxys(chain: str, client: str) -> None:
    env = taken({"For": chain})
    assert env["REMOTE_ADDR"] == env["REMOTE_HOST"] == client


@pytest.mark.parametrize("peer", [PROXY, "10.2.255.1", "fd12::1", f"::ffff:{PROXY}"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    told = {"For": "203.0.113.7", "Host": "tasks.example:8443", "Proto": "HTTPS"}
    env = taken({**told, "Prefix": "/a/b/"}, peer)
    assert env["REMOTE_ADDR"] == "203.0.113.7"
    assert env["HTTP_HOST"] == "tasks.example:8443"
    assert env["wsgi.url_scheme"] == "https"
    assert env["SCRIPT_NAME"] == "/a/b"
    assert url("/tasks") == "/a/b/tasks"


@pytest.mark.parametrize("peer", ["10.1.0.2", "10.3.0.1", "127.0.0.1", "2001:db8::1", "unix"])
def test_nobody_else_is(peer: str) -> None:
    told = {"For": "203.0.113.7", "Host": "evil", "Proto": "https", "Prefix": "/evil"}
    env = taken(told, peer)
    assert env["REMOTE_ADDR"] == peer
    assert env["HTTP_HOST"] == "inner"
    assert env["wsgi.url_scheme"] == "http"
    assert env["SCRIPT_NAME"] == ""
    assert url("/tasks") == "/tasks"


def test_who_connects_to_the_unix_socket_is_believed_if_the_settings_say_so() -> None:
    told = {"For": "203.0.113.7"}
    assert taken(told, "unix", {"unix"})["REMOTE_ADDR"] == "203.0.113.7"
    assert taken(told, "127.0.0.1", {"unix"})["REMOTE_ADDR"] == "127.0.0.1"


def test_what_a_proxy_does_not_tell_stays() -> None:
    env = taken({})
    assert (env["REMOTE_ADDR"], env["HTTP_HOST"], env["SCRIPT_NAME"]) == (PROXY, "inner", "")


def test_of_several_values_the_nearest_proxys_counts() -> None:
    told = {"Host": "evil.example, tasks.example", "Proto": "gopher,https"}
    env = taken({**told, "Prefix": "//evil, /queue"})
    assert env["HTTP_HOST"] == "tasks.example"
    assert env["wsgi.url_scheme"] == "https"
    assert env["SCRIPT_NAME"] == "/queue"


@pytest.mark.parametrize("prefix", ["", "/"])
def test_a_proxy_may_say_that_it_has_taken_nothing_off(prefix: str) -> None:
    assert taken({"Prefix": prefix})["SCRIPT_NAME"] == ""


@pytest.mark.parametrize(
    "node", ["", "unknown", "_hidden", "203.0.113", "1:80", "203.0.113.7:x", "[::1", "<b>", "::g"]
)
def test_what_is_no_address_is_refused(node: str) -> None:
    shown = node or '""'
    assert refused(For=f"203.0.113.7, {node}") == (
        f"X-Forwarded-For of a proxy must be addresses, separated by commas, not {shown}"
    )


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "http://a", "[::1", "a:b"])
def test_what_is_no_host_is_refused(host: str) -> None:
    assert refused(Host=host).startswith("X-Forwarded-Host of a proxy must be a name or an address")


@pytest.mark.parametrize("scheme", ["", "ftp", "https://"])
def test_what_is_no_scheme_is_refused(scheme: str) -> None:
    assert refused(Proto=scheme).startswith("X-Forwarded-Proto of a proxy must be http or https")


@pytest.mark.parametrize(
    "prefix", ["queue", "//evil.example", "/a//b", "/a b", "/../a", "/a/.", "/a?b", "/é", "/a\\b"]
)
def test_a_prefix_that_could_lead_elsewhere_is_refused(prefix: str) -> None:
    assert refused(Prefix=prefix).startswith("X-Forwarded-Prefix of a proxy must be a path as /q")


def test_a_long_value_is_shown_short() -> None:
    assert len(refused(Proto="x" * 30_000)) < 300


def test_what_one_request_was_told_is_forgotten_with_the_next() -> None:
    taken({"Prefix": "/queue"})
    taken({})
    assert url("/tasks") == "/tasks"
    taken({"Prefix": "/queue"})
    refused(For="made up")
    assert url("/tasks") == "/tasks"


@pytest.mark.parametrize(
    ("path", "rest"),
    [("/queue/tasks", "/tasks"), ("/queue/tasks/é", "/tasks/é"), ("/queue/", "/")],
)
def test_a_path_below_the_prefix_is_served_without_it(path: str, rest: str) -> None:
    req = create_req(path=path, root_path="/outer")
    Below("/queue").process_request(req, falcon.Response())
    assert req.path == rest
    assert req.root_path == "/outer/queue"
    assert req.env["PATH_INFO"].encode("latin-1").decode() == rest


def test_the_prefix_alone_is_the_top() -> None:
    req = create_req(path="/queue")
    Below("/queue").process_request(req, falcon.Response())
    assert (req.path, req.env["PATH_INFO"]) == ("/", "")


@pytest.mark.parametrize(
    "path", ["/", "/tasks", "/queues", "/queueing/tasks", "/a/queue", "/QUEUE/"]
)
def test_nothing_is_served_elsewhere(path: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Below("/queue").process_request(create_req(path=path), falcon.Response())
    assert caught.value.problem is NOT_FOUND
    assert caught.value.detail == (
        f"there is no {path}; all URLs are below /queue, as http.url_prefix says"
    )
