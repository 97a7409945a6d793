"""What all pages share: the way to the API, sessions, templates, and the navigation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from task_queue.api.auth.caller import Caller
from task_queue.api.auth.scopes import Scope
from task_queue.api.auth.sessions import Sessions
from task_queue.api.responses.urls import url
from task_queue.api.ui.inside import Inside
from task_queue.api.ui.static_files import StaticFiles

if TYPE_CHECKING:
    from jinja2 import Environment

AUDIT = "/ui/audit"
NAVIGATION = (
    ("Overview", "/ui/", "o"),
    ("Tasks", "/ui/tasks", "t"),
    ("Dead letters", "/ui/dead-letters", "d"),
    ("Actions", "/ui/actions", "a"),
    ("Schedules", "/ui/schedules", "s"),
    ("Nodes", "/ui/nodes", "n"),
    ("Audit", AUDIT, "u"),
)
"""What can be begun at: its name, its path, and the key that leads there after `g`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What pages are made with.

    Attributes:
        inside: Sends requests to the API.
        sessions: Who has logged in.
        templates: Returns what renders pages.
        static: The style and the scripts.
        now: The present moment, Unix seconds.
        needs_key: Whether one has to log in.
        version: Of the program.
    """

    inside: Inside
    sessions: Sessions
    templates: "Callable[[], Environment]"
    static: StaticFiles
    now: Callable[[], float]
    needs_key: bool
    version: str

    def rendered(self, template: str, caller: Caller, **values: Any) -> str:  # noqa: ANN401
        """Return a page.

        Args:
            template: Its name.
            caller: Who asks for it.
            values: What the template needs.
        """
        navigation = [each for each in NAVIGATION if each[1] != AUDIT or caller.may(Scope.ADMIN)]
        return (
            self.templates()
            .get_template(template)
            .render(
                url=url,
                static=self.static.url,
                navigation=navigation,
                needs_key=self.needs_key,
                version=self.version,
                **values,
            )
        )
