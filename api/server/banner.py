"""What the server prints once it listens."""

import shlex
from typing import Any

from task_queue.actors.tasks.text import counted
from task_queue.config.problems import redacted
from task_queue.config.settings import HttpSettings, QueueSettings, Settings


def banner(
    settings: Settings, version: str, address: str | tuple[Any, ...], *, needs_key: bool = False
) -> str:
    """Return what runs where, in a few lines, and a request to try it with.

    Args:
        settings: All of them.
        version: Of the program.
        address: The socket's: the path of a Unix socket, or an IP address, a port and more.
        needs_key: Whether the request has to have a key.
    """
    key = ' -H "Authorization: Bearer $KEY"' if needs_key else ""
    where, url = _address(settings.http, address)
    queues = "".join(_shown(name, each) for name, each in settings.queues.items())
    # A browser cannot ask a Unix socket.
    is_shown = settings.ui.enabled and not isinstance(address, str)
    dashboard = f"  dashboard {url}/ui/\n" if is_shown else ""
    body = """'{"action": "uppercase", "data": {"text": "hello world"}}'"""
    return (
        f"task-queue {version} listens on {where}\n"
        f"  database  {redacted(settings.database.url)}\n"
        f"{queues}"
        f"{dashboard}"
        f"  try it    curl -X POST {url}/tasks{key} -H 'Content-Type: application/json' -d {body}\n"
        f"  stop it   Ctrl-C lets running tasks finish for up to"
        f" {settings.shutdown.drain_seconds:g} s; Ctrl-C again does not\n"
    )


def _shown(name: str, queue: QueueSettings) -> str:
    promise = "kept in memory" if queue.driver == "memory" else "every 202 is on disk"
    return (
        f"  queue     {name}: driver {queue.driver} ({promise}),"
        f" {counted(queue.concurrency, 'consumer')}, prefetch {queue.prefetch}\n"
    )


def _address(http: HttpSettings, address: str | tuple[Any, ...]) -> tuple[str, str]:
    """Return where it listens, and a URL as curl takes it, with the option that leads there."""
    if isinstance(address, str):
        url = f"--unix-socket {shlex.quote(address)} http://localhost{http.url_prefix}"
        return address, url
    host = f"[{http.host}]" if ":" in http.host else http.host
    url = f"http://{host}:{address[1]}{http.url_prefix}"
    return url, url
