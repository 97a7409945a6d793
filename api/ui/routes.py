"""The dashboard's routes: not part of the API, so not in its table."""

from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from task_queue.actors.messages.changes import KeepSecret
from task_queue.api.auth.admission import Admission
from task_queue.api.auth.sessions import Sessions, new_secret
from task_queue.api.edge import Edge
from task_queue.api.ui.actions import ActionsPage
from task_queue.api.ui.audit import AuditPage
from task_queue.api.ui.bulk import BulkPage
from task_queue.api.ui.dead_letters import DeadLettersPage
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import Inside
from task_queue.api.ui.log_in import LogInPage
from task_queue.api.ui.nodes import NodesPage
from task_queue.api.ui.overview import OverviewPage
from task_queue.api.ui.queues import QueuePage
from task_queue.api.ui.schedules import SchedulePage, SchedulesPage
from task_queue.api.ui.static_files import StaticFiles
from task_queue.api.ui.task import TaskPage
from task_queue.api.ui.tasks import TasksPage

if TYPE_CHECKING:
    from jinja2 import Environment

_SECRET = "dashboard"  # noqa: S105 - its name
_PAGES: tuple[tuple[str, Callable[[Frame], object], str | None], ...] = (
    ("/ui/", OverviewPage, None),
    ("/ui/queues/{name}", QueuePage, None),
    ("/ui/queues/{name}/pause", QueuePage, "pause"),
    ("/ui/queues/{name}/resume", QueuePage, "resume"),
    ("/ui/queues/{name}/purge", QueuePage, "purge"),
    ("/ui/tasks", TasksPage, None),
    ("/ui/tasks/{task_id}", TaskPage, None),
    ("/ui/tasks/{task_id}/cancel", TaskPage, "cancel"),
    ("/ui/tasks/{task_id}/retry", TaskPage, "retry"),
    ("/ui/tasks/{task_id}/delete", TaskPage, "delete"),
    ("/ui/bulk", BulkPage, None),
    ("/ui/bulk/step", BulkPage, "step"),
    ("/ui/dead-letters", DeadLettersPage, None),
    ("/ui/dead-letters/redrive", DeadLettersPage, "redrive"),
    ("/ui/actions", ActionsPage, None),
    ("/ui/actions/{name}", ActionsPage, "one"),
    ("/ui/schedules", SchedulesPage, None),
    ("/ui/new-schedule", SchedulesPage, "new"),
    ("/ui/schedules/{name}", SchedulePage, None),
    ("/ui/schedules/{name}/change", SchedulesPage, "change"),
    ("/ui/schedules/{name}/run", SchedulePage, "run"),
    ("/ui/schedules/{name}/delete", SchedulePage, "delete"),
    ("/ui/nodes", NodesPage, None),
    ("/ui/audit", AuditPage, None),
)
"""The path of each page, what answers it, and the suffix of that responder."""


def sessions_of(edge: Edge, admission: Admission, seconds: int) -> Sessions:
    """Return who has logged in.

    Args:
        edge: The way to the database, which is asked for the secret when it is first needed.
        admission: Judges keys.
        seconds: How long a session lasts.
    """
    secret = cache(lambda: edge.ask_writer(KeepSecret(_SECRET, new_secret())))
    return Sessions(admission.keyring, secret, seconds, edge.now)


def frame_of(edge: Edge, inside: Inside, sessions: Sessions, *, needs_key: bool) -> Frame:
    """Return what pages are made with."""

    @cache
    def templates() -> "Environment":
        from task_queue.api.ui.jinja import environment  # noqa: PLC0415 - slow, and for few

        return environment(edge.now)

    return Frame(
        inside, sessions, templates, StaticFiles(), edge.now, needs_key, version("task-queue")
    )


def routes(frame: Frame, edge: Edge) -> Iterator[tuple[str, object, str | None]]:
    """Yield the path of each page, what answers it, and the suffix of that responder."""
    made = {page: page(frame) for _, page, _ in _PAGES}
    log_in = LogInPage(frame, edge)
    for page in (*made.values(), log_in, frame.static):
        _answer_head(page)
    for path, page, suffix in _PAGES:
        yield path, made[page], suffix
    yield "/ui/login", log_in, None
    yield "/ui/logout", log_in, "out"
    yield "/ui/static/{digest}/{name}", frame.static, None


def _answer_head(page: object) -> None:
    """Let a page answer `HEAD` as `GET`, of which Falcon sends the head alone."""
    for name in dir(page):
        if name.startswith("on_get"):
            setattr(page, name.replace("get", "head", 1), getattr(page, name))
