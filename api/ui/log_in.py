"""Logging in with a key, and out."""

import falcon

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.changes import Record
from task_queue.actors.tasks.audit import AuditEntry
from task_queue.api.auth.buckets import Buckets
from task_queue.api.auth.keyring import RefusedKeyError
from task_queue.api.auth.keys import MAX_KEY_CHARS
from task_queue.api.auth.sessions import COOKIE, DASHBOARD
from task_queue.api.edge import Edge
from task_queue.api.responses.urls import url
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.render import counted
from task_queue.api.ui.visit import LOG_IN, Visit
from task_queue.config.logger import get_logger

TRIES = 10
"""How many keys may come from one address at once, right ones too."""
TRIES_PER_SECOND = 0.2
"""How many may come from it on the average."""

_log = get_logger()


class LogInPage:
    """`/ui/login` takes a key, once; `/ui/logout` forgets it."""

    def __init__(self, frame: Frame, edge: Edge) -> None:
        """Keep what it takes.

        Args:
            frame: What pages are made with.
            edge: The way to the audit log.
        """
        self._frame = frame
        self._edge = edge
        self._tries = Buckets(TRIES_PER_SECOND, TRIES, edge.monotonic)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the form."""
        self._show(Visit(self._frame, req, resp))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin a session for whoever has the key."""
        visit = Visit(self._frame, req, resp)
        source = req.env["REMOTE_ADDR"]
        key = visit.field("key").strip()
        taken = self._tries.take(source)
        if taken.retry_after_seconds is not None:
            resp.status = falcon.HTTP_429
            wait = counted(taken.retry_after_seconds, "second")
            self._show(visit, f"Too many tries from {source}: wait {wait}.")
            return
        try:
            cookie, caller = self._frame.sessions.begin(key[: MAX_KEY_CHARS + 1])
            entry = AuditEntry(self._frame.now(), caller.who, "log_in", LOG_IN, source, 303)
            self._edge.ask_writer(Record(entry))
        except RefusedKeyError as error:
            _log.warning("log-in refused", source=source, reason=str(error))
            resp.status = falcon.HTTP_403
            self._show(visit, f"{str(error).capitalize()}. Nothing was kept of what you typed.")
            return
        except TaskQueueError:
            resp.status = falcon.HTTP_503
            self._show(visit, "The database does not answer, so nobody can log in. Try again soon.")
            return
        _log.info("logged in to the dashboard", who=caller.who, source=source)
        self._set_cookie(req, resp, cookie, self._frame.sessions.seconds)
        visit.lead(_own(visit.field("next")))

    def on_post_out(self, req: falcon.Request, resp: falcon.Response) -> None:
        """End the session of this browser."""
        self._set_cookie(req, resp, "", 0)
        Visit(self._frame, req, resp).lead(LOG_IN)

    def _show(self, visit: Visit, wrong: str | None = None) -> None:
        visit.show("login.html", "Log in", wrong=wrong, next=_own(visit.field("next")))

    def _set_cookie(
        self, req: falcon.Request, resp: falcon.Response, value: str, seconds: int
    ) -> None:
        resp.set_cookie(
            COOKIE,
            value,
            max_age=seconds,
            path=url(DASHBOARD),
            http_only=True,
            same_site="Strict",
            secure=req.env["wsgi.url_scheme"] == "https",
        )


def _own(path: str) -> str:
    """Return the path, if it leads to a page of the dashboard; else its first page."""
    return path if path.startswith(DASHBOARD) and "//" not in path.partition("?")[0] else DASHBOARD
