"""What the server prints once it listens."""

from task_queue.actors.tasks.text import counted
from task_queue.config.settings import HttpSettings, QueueSettings, Settings, redacted


def banner(settings: Settings, version: str, port: int) -> str:
    """Return what runs where, in a few lines, and a request to try it with."""
    url = _url(settings.http, port)
    queues = "".join(_shown(name, each) for name, each in settings.queues.items())
    body = """'{"action": "uppercase", "data": {"text": "hello world"}}'"""
    return (
        f"task-queue {version} listens on {url}\n"
        f"  database  {redacted(settings.database.url)}\n"
        f"{queues}"
        f"  try it    curl -X POST {url}/tasks -H 'Content-Type: application/json' -d {body}\n"
        f"  stop it   Ctrl-C lets running tasks finish for up to"
        f" {settings.shutdown.drain_seconds:g} s; Ctrl-C again does not\n"
    )


def _shown(name: str, queue: QueueSettings) -> str:
    promise = "kept in memory" if queue.driver == "memory" else "every 202 is on disk"
    return (
        f"  queue     {name}: driver {queue.driver} ({promise}),"
        f" {counted(queue.concurrency, 'consumer')}, prefetch {queue.prefetch}\n"
    )


def _url(http: HttpSettings, port: int) -> str:
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{port}"
