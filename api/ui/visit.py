"""A visit: one request to the dashboard, which asks the API and answers with a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode
from uuid import uuid4

import falcon

from task_queue.api.auth.caller import Caller, caller_of
from task_queue.api.auth.scopes import Scope
from task_queue.api.responses.urls import url
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import NO_HEADERS, Query, RefusedError

SAID = "said"
"""The parameter of a page that holds what was said of a change."""
LOG_IN = "/ui/login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked before a change.

    Attributes:
        title: The change as a question, as in "Pause the queue mail?".
        lines: What will happen, a sentence each.
        button: What the button says: the verb.
        back: The path where "no" leads.
        harms: Whether something is lost.
        once: By what a publish is known that is confirmed twice.
    """

    title: str
    lines: Sequence[str]
    button: str
    back: str
    harms: bool = False
    once: str = field(default_factory=lambda: str(uuid4()))


class Visit:
    """Asks the API as whoever is logged in, and answers with a page.

    Attributes:
        caller: Who that is.
        path: The path of the page, without prefix.
    """

    def __init__(self, frame: Frame, req: falcon.Request, resp: falcon.Response) -> None:
        self.caller: Caller = caller_of(req)
        self.path = req.path
        self.req = req
        self._frame = frame
        self._resp = resp

    @property
    def session_id(self) -> str:
        """What forms and notes are bound to: the session, or the key that came in a header."""
        return getattr(self.req.context, "session_id", self.caller.who)

    @property
    def is_logged_in(self) -> bool:
        """Whether there is a session to be ended."""
        return hasattr(self.req.context, "session_id")

    @property
    def token(self) -> str:
        """What a form has to carry."""
        return self._frame.sessions.token(self.session_id)

    @property
    def now(self) -> float:
        """The present moment, Unix seconds."""
        return self._frame.now()

    @property
    def here(self) -> str:
        """The page's own path with its query, without what was said."""
        query = urlencode([(n, v) for n, v in parse_qsl(self.req.query_string, True) if n != SAID])  # noqa: FBT003
        path = quote(self.path)
        return f"{path}?{query}" if query else path

    @property
    def said(self) -> str | None:
        """What is to be said of the change that led here."""
        note = self.req.get_param(SAID)
        return None if note is None else self._frame.sessions.noted(self.session_id, note)

    @property
    def may_operate(self) -> bool:
        """Whether the caller may change anything."""
        return self.caller.may(Scope.OPERATE)

    @property
    def may_publish(self) -> bool:
        """Whether the caller may publish."""
        return self.caller.may(Scope.PUBLISH)

    def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - a document
        """Return a document of the API.

        Raises:
            RefusedError: There is none, or not for this caller. The answer is a page that says so.
        """
        return self._frame.inside.send(self.req, "GET", path, query).document

    def look(self, path: str, **query: Any) -> Any | None:  # noqa: ANN401 - a document
        """Return a document of the API, or None if there is none.

        Raises:
            RefusedError: It is refused for any other reason.
        """
        try:
            return self.get(path, **query)
        except RefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def change(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Query | None = None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Any:  # noqa: ANN401 - a document
        """Change something through the API, and return what it answers.

        Raises:
            RefusedError: It is refused. The answer is a page that says why.
        """
        return self._frame.inside.send(
            self.req, method, path, query, body, headers=headers
        ).document

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form that was sent, or of the query."""
        return next(iter(self.fields(name)), default)

    def fields(self, name: str) -> list[str]:
        """Return all fields with this name, of the form that was sent, else of the query."""
        form: Mapping[str, list[str]] | None = getattr(self.req.context, "form", None)
        if form is None:
            return self.req.get_param_as_list(name) or []
        return form.get(name, [])

    def show(self, template: str, title: str, **values: Any) -> None:  # noqa: ANN401
        """Answer with a page.

        Args:
            template: Its name.
            title: Of the page.
            values: What the template needs.
        """
        self._resp.content_type = falcon.MEDIA_HTML
        self._resp.text = self._frame.rendered(
            template, self.caller, visit=self, title=title, **values
        )

    def ask_first(self, question: Question) -> None:
        """Answer with a question, whose form is sent to where this request was sent to."""
        self.show("question.html", question.title, question=question)

    def leave(self, path: str, said: str) -> None:
        """Lead to a page, where it is said what came of the change."""
        note = self._frame.sessions.note(self.session_id, said)
        self.lead(f"{path}{'&' if '?' in path else '?'}{urlencode({SAID: note})}")

    def lead(self, path: str) -> None:
        """Lead to a page.

        Some paths come from forms. What no URL may hold is escaped: a line break would end the
        header, and begin one that whoever made the path has thought of.
        """
        self._resp.status = falcon.HTTP_303
        self._resp.set_header("Location", falcon.uri.encode_check_escaped(url(path)))
