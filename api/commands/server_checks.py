"""What `doctor` asks a server: is it there, ready, of this version, and what may the key do."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from task_queue.api.client.errors import NotAllowedError, NotFoundError
from task_queue.api.commands.errors import NOT_ALLOWED, CommandError
from task_queue.api.commands.findings import Finding, fail, of_clocks, ok, warn
from task_queue.api.commands.server import Server


def checked_there(server: Server, own_version: str) -> Iterator[Finding]:
    """Yield what a server says.

    Args:
        server: Which is asked.
        own_version: This program's.

    Raises:
        CommandError: It cannot be reached.
    """
    began = time.monotonic()
    alive = server.get("/healthz")
    spent = time.monotonic() - began
    if not isinstance(alive, dict) or alive.get("status") != "alive":
        text = f"what answers at {server.address} is no task-queue"
        yield fail("server", text, "look at --url, and at the proxy if there is one")
        return
    yield ok("server", f"{server.address} answers in {spent * 1000:.0f} ms")
    if server.date:  # whole seconds, and some time on the way
        apart = parsedate_to_datetime(server.date).timestamp() + 0.5 - (time.time() - spent / 2)
        yield of_clocks("clock", "the server's", apart)
    yield from _proxy(server)
    yield from _readiness(server)
    try:
        yield from _nodes(server, own_version)
        yield from _key(server)
    except NotAllowedError as error:
        yield _refused(error)


def _proxy(server: Server) -> Iterator[Finding]:
    said = server.get("/openapi.json")["servers"][0]["url"]
    path = "/" + server.address.split("://", 1)[-1].partition("/")[2].strip("/")
    if server.address.startswith("unix:") or said.rstrip("/") == path.rstrip("/"):
        return
    yield warn(
        "proxy",
        f"the server says that its URLs begin with {said}, and it is asked at {path}",
        "let the proxy say X-Forwarded-Prefix and http.trusted_proxies name it, or set"
        " http.url_prefix",
    )


def _readiness(server: Server) -> Iterator[Finding]:
    health = server.client.readiness()
    for problem in health.problems:
        yield fail("ready", problem)
    for warning in health.warnings:
        yield warn("ready", warning, "")
    if not health.is_ready and not health.problems:
        yield fail("ready", "it is not ready", "a key that may read is told why")
    elif health.is_ready and not health.warnings:
        yield ok("ready", "work gets done")


def _nodes(server: Server, own_version: str) -> Iterator[Finding]:
    try:
        nodes = server.get("/nodes")["nodes"]
    except NotFoundError:
        yield warn(
            "version", f"the server is older than this program ({own_version})", "upgrade it"
        )
        return
    versions = {node["version"] for node in nodes if node["status"] != "silent"}
    if versions <= {own_version}:
        yield ok("version", f"{own_version}, as of the server")
    else:
        text = (
            f"this program is {own_version}, nodes of the service are {', '.join(sorted(versions))}"
        )
        yield warn("version", text, "have the same everywhere")


def _key(server: Server) -> Iterator[Finding]:
    try:
        server.get("/audit", {"limit": 1})
    except NotAllowedError as error:
        if error.problem != "scope-missing":
            raise
        yield ok("key", str(error).partition("; ")[2] or str(error))
    else:
        yield ok("key", "everything is allowed")


def _refused(error: NotAllowedError) -> Finding:
    return fail("key", str(error), "TASK_QUEUE_KEY or --key-file has the key to use")


def unreachable(error: CommandError) -> Finding:
    """Return that the server cannot be asked at all."""
    return fail("key" if error.exit_code == NOT_ALLOWED else "server", str(error))
