"""The proxies of the page `docs/proxy.md` do what it says, with its very configurations."""

import re
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import trustme

from tests import proxies
from tests.docs.pages import Block, blocks
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, put_database

pytestmark = pytest.mark.system

NAME = "tasks.example.com"
CLIENT = "127.0.0.9"
"""Where the client asks from, which the proxy alone sees."""
SOCKET = "/run/task-queue/http.sock"
KEY = "tests-only-" + "k" * 32

PAGE = (ROOT / "docs" / "proxy.md").read_text("utf-8")
TOP = "Behind a proxy"
WAYS = {"nginx": "", "Caddy": "", "That stays": "/queue", "That is taken off": "/queue"}
WAYS["A Unix socket"] = ""
"""The headings below which there are configurations, and where the service is with them."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """A server behind a proxy.

    Attributes:
        server: The server, asked by itself.
        client: Asks it by the proxy's name.
        origin: The proxy's.
        path: Where the service is there.
    """

    server: ServerProcess
    client: httpx.Client
    origin: str
    path: str

    def publish(self, **headers: str) -> httpx.Response:
        task = {"action": "uppercase", "data": {"text": "x"}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"{self.path}/tasks", json=task, headers=named)

    def client_in_the_log(self, answer: httpx.Response) -> str:
        line = self.server.wait_for_log("request", request_id=answer.headers["X-Request-ID"])
        return str(line["client"])


def below(heading: str, language: str) -> list[Block]:
    """The blocks in this language below a heading and before the next one."""
    parts = re.split(r"^#+ ([^/].*)$", PAGE, flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [block for block in blocks(texts[heading]) if block.language == language]


def nginx_files(way: str) -> dict[str, str]:
    """The files of nginx, with what takes the place of a block in this way."""
    snippet, site = (block.text for block in below("nginx", "nginx"))
    if way != "nginx":
        [change] = (block.text for block in below(way, "nginx"))
        kind = change.split()[0]
        site, count = re.subn(
            rf"^ *{kind} .*?^ *\}}$", change, site, flags=re.DOTALL | re.MULTILINE
        )
        assert count == 1
    return {"snippets/task-queue.conf": snippet, "conf.d/tasks.conf": site}


def settings(way: str) -> str:
    [block] = below(way, "toml") or below(TOP, "toml")
    return block.text


@contextmanager
def behind(kind: str, way: str, directory: Path, migrated: Path) -> Iterator[Proxied]:
    """A server behind this kind of proxy, both set up as the page has it below this heading."""
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME)
    certificate.cert_chain_pems[0].write_to_path(directory / "tasks.pem")
    certificate.private_key_pem.write_to_path(directory / "tasks.key")
    with ExitStack() as stack:
        run = stack.enter_context(TemporaryDirectory())  # a short path
        own = {SOCKET: f"{run}/http.sock", "/etc/ssl": str(directory)}
        config = directory / "settings.toml"
        config.write_text(replaced(settings(way), own))
        environ = {
            "TASK_QUEUE_CONFIG": str(config),
            "TASK_QUEUE_AUTH__KEYS__TESTS__KEY": KEY,
            "TASK_QUEUE_AUTH__KEYS__TESTS__SCOPES": "admin",
        }
        put_database(migrated, directory)
        server = ServerProcess(directory, "log.level=DEBUG", environ=environ)
        stack.callback(server.close)
        server.start()
        own["127.0.0.1:8080"] = f"127.0.0.1:{server.client.base_url.port}"
        if kind == "nginx":
            files = {name: replaced(text, own) for name, text in nginx_files(way).items()}
            proxy = proxies.nginx(directory, files)
        else:
            [block] = below("Caddy" if way == "nginx" else way, "caddy")
            proxy = proxies.caddy(directory, replaced(block.text, own), NAME)
        port = stack.enter_context(proxy)
        client = stack.enter_context(client_of(port, authority))
        yield Proxied(server, client, f"https://{NAME}:{port}", WAYS[way])


def replaced(text: str, own: dict[str, str]) -> str:
    for old, new in own.items():
        text = text.replace(old, new)
    return text


def client_of(port: int, authority: trustme.CA) -> httpx.Client:
    """A client that finds the proxy's name at loopback."""
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def name(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = NAME

    return httpx.Client(
        base_url=f"https://127.0.0.1:{port}",
        headers={"Host": f"{NAME}:{port}", "Authorization": f"Bearer {KEY}"},
        transport=httpx.HTTPTransport(verify=context, local_address=CLIENT),
        event_hooks={"request": [name]},
        timeout=DEADLINE_SECONDS,
    )


@pytest.fixture(scope="module", params=["nginx", "Caddy"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["", "That stays", "That is taken off", "A Unix socket"])
def proxied(
    request: pytest.FixtureRequest,
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_file: Path,
) -> Iterator[Proxied]:
    directory = tmp_path_factory.mktemp("proxied")
    with behind(kind, request.param or kind, directory, migrated_file) as found:
        yield found


def test_a_task_is_published_and_found_at_its_location(proxied: Proxied) -> None:
    published = proxied.publish()
    assert published.status_code == 202, published.text
    location = published.headers["Location"]
    assert location == f"{proxied.path}/tasks/{published.json()['id']}"
    shown = proxied.client.get(location)
    assert shown.status_code == 200
    assert shown.json()["id"] == published.json()["id"]


def test_an_error_names_the_url_that_the_client_asked_for(proxied: Proxied) -> None:
    answer = proxied.client.get(f"{proxied.path}/nowhere")
    page = f"{proxied.path}/docs"
    listed = f"what there is, is listed at {page}"
    assert answer.json()["detail"] == f"there is no {proxied.path}/nowhere; {listed}"
    assert answer.json()["type"] == f"{proxied.path}/docs#not-found"


def test_a_page_of_the_proxys_origin_is_own_and_others_are_foreign(proxied: Proxied) -> None:
    own = proxied.publish(Origin=proxied.origin, Sec_Fetch_Site="same-origin")
    assert own.status_code == 202, own.text
    for foreign in ("https://evil.example", f"https://{NAME}", "null"):
        answer = proxied.publish(Origin=foreign)
        assert answer.status_code == 403
        assert answer.json()["error"] == "foreign origin"


def test_the_log_names_the_client_whatever_it_says_itself(proxied: Proxied) -> None:
    assert proxied.client_in_the_log(proxied.publish()) == CLIENT
    made_up = proxied.publish(
        X_Forwarded_For="6.6.6.6",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="gopher",
        X_Forwarded_Prefix="/evil",
        Forwarded="for=6.6.6.6;host=evil.example",
    )
    assert made_up.status_code == 202, made_up.text
    assert made_up.headers["Location"].startswith(f"{proxied.path}/tasks/")
    assert proxied.client_in_the_log(made_up) == CLIENT


def test_nothing_is_served_beside_the_path(proxied: Proxied) -> None:
    if proxied.path:
        answer = proxied.client.get("/tasks/0", headers={"Accept": "application/json"})
        # nginx has a page of its own for that, Caddy an empty answer.
        assert "X-Request-ID" not in answer.headers


def test_an_answer_that_waits_for_the_task_comes_through(proxied: Proxied) -> None:
    answer = proxied.publish(Prefer="wait=20")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "completed"
    assert answer.headers["Location"] == f"{proxied.path}/tasks/{answer.json()['id']}"
