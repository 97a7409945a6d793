"""The server process: waitress in the main thread, signals, banner, drain."""

import logging
import os
import signal
import sys
from http import HTTPStatus
from types import FrameType
from typing import Any

import structlog
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from actors.errors import BootError, TaskQueueError
from actors.system import QUEUE, ActorSystem
from api.app import create_app
from api.errors import PROBLEM_TYPE, problem
from api.json_codec import dumps
from api.tasks import Limits
from config.settings import HttpSettings, Settings, redacted

MAX_HEADER_BYTES = 32_768

_log = structlog.get_logger()


class Signals:
    """SIGTERM and SIGINT: the first one ends the serving, the second one the process.

    Waitress leaves signals alone; its loop ends on `SystemExit`, so that is what the handler
    raises, in the main thread.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._stopping = False

    def install(self) -> None:
        """Handle the signals from now on."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def hopeless(self) -> None:
        """End the serving from another thread, with exit code 1."""
        self.exit_code = 1
        os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(128 + number)  # the shell's convention for death by signal
        self._stopping = True
        raise SystemExit(self.exit_code)


def serve(settings: Settings, version: str) -> int:
    """Serve until a signal comes, then drain.

    Args:
        settings: All of them.
        version: For the banner.

    Returns:
        The process's exit code: 0 after a signal, 1 if actors died too often.

    Raises:
        TaskQueueError: It could not be started.
    """
    signals = Signals()
    signals.install()
    system = ActorSystem(settings, on_hopeless=signals.hopeless)
    try:
        system.start()
        server = _server(system, settings)
        sys.stdout.write(_banner(settings, version, server.effective_port))
        sys.stdout.flush()
        server.run()  # returns when a signal has ended it, after requests in hand are answered
    except SystemExit:
        pass
    except TaskQueueError:
        system.stop(0)
        raise
    _drain(system, settings.shutdown.drain_seconds)
    return signals.exit_code


def _drain(system: ActorSystem, drain_seconds: float) -> None:
    try:
        cut_short = system.stop(drain_seconds)
    except TaskQueueError as error:
        # What was claimed is taken back at the next start, or by another node.
        _log.error("not drained", error=str(error))
        return
    if cut_short:
        _log.warning("tasks cut short and given back", ids=cut_short, drain_seconds=drain_seconds)
    _log.info("stopped")


def _server(system: ActorSystem, settings: Settings) -> Any:  # noqa: ANN401 - waitress has no types
    http = settings.http
    limits = Limits(http.answer_timeout_seconds, settings.queues.tasks.max_attempts)
    logging.getLogger("waitress").setLevel(logging.WARNING)
    try:
        server = create_server(
            create_app(system, limits),
            host=http.host,
            port=http.port,
            threads=http.threads,
            connection_limit=http.max_connections,
            max_request_body_size=http.max_body_bytes,
            max_request_header_size=MAX_HEADER_BYTES,
            channel_timeout=http.idle_timeout_seconds,
            asyncore_use_poll=True,  # select() ends at descriptor 1024
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot listen on {http.host}:{http.port}: {reason}"
        raise BootError(message) from error
    server.channel_class = _Channel
    return server


class _ProblemTask(ErrorTask):  # type: ignore[misc] # waitress has no types
    """Answers what waitress itself refuses, in the form of all other errors."""

    def execute(self) -> None:
        status = HTTPStatus(self.request.error.code)
        detail = {
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body must have at most"
            f" {self.channel.adj.max_request_body_size} bytes",
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the headers must have at most"
            f" {MAX_HEADER_BYTES} bytes",
        }.get(status)
        body = dumps(problem(status, detail or status.phrase.lower()))
        self.status = f"{status.value} {status.phrase}"
        self.response_headers.append(("Content-Type", PROBLEM_TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    error_task_class = _ProblemTask


def _banner(settings: Settings, version: str, port: int) -> str:
    http, queue = settings.http, settings.queues.tasks
    url = _url(http, port)
    promise = "kept in memory" if queue.driver == "memory" else "every 202 is on disk"
    body = """'{"action": "uppercase", "data": {"text": "hello world"}}'"""
    return (
        f"task-queue {version} listens on {url}\n"
        f"  database  {redacted(settings.database.url)}\n"
        f"  queue     {QUEUE}: driver {queue.driver} ({promise}),"
        f" {queue.concurrency} consumers, prefetch {queue.prefetch}\n"
        f"  try it    curl -X POST {url}/tasks -H 'Content-Type: application/json' -d {body}\n"
        f"  stop it   Ctrl-C lets running tasks finish for up to"
        f" {settings.shutdown.drain_seconds:g} s; Ctrl-C again does not\n"
    )


def _url(http: HttpSettings, port: int) -> str:
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{port}"
