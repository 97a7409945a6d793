"""What each answer of the dashboard has, and what a request has to pass."""

from urllib.parse import parse_qsl, urlencode

import falcon
import orjson

from task_queue.api.auth.caller import NOBODY, caller_of
from task_queue.api.auth.sessions import DASHBOARD
from task_queue.api.responses import problems
from task_queue.api.responses.errors import PROBLEM_TYPE, InvalidRequestError
from task_queue.api.responses.urls import url
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import RefusedError
from task_queue.api.ui.visit import LOG_IN, Visit

TOKEN = "token"  # noqa: S105 - the name of a field
MAX_FIELDS = 5_000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load and run: this server's own files, and nothing that stands in the page."""
_OPEN = (LOG_IN, "/ui/static/")
_ROOTS = frozenset({"/", DASHBOARD.rstrip("/")})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})

FORM_TOO_OLD = "form too old"
"""The error of a form with a token of no session, or of another one."""


class AsPages:
    """Answers browsers below `/ui/` with pages, whatever comes; leads them there from `/`."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Lead a browser from the root to the dashboard; others are told what they always were."""
        if req.path not in _ROOTS or req.method not in {"GET", "HEAD"}:
            return
        if req.path != "/" or "text/html" in (req.get_header("Accept") or ""):
            resp.status = falcon.HTTP_303
            resp.set_header("Location", url(DASHBOARD))
            resp.set_header("Vary", "Accept")
            resp.complete = True

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _params: object
    ) -> None:
        """Let only those in who have logged in, and only forms of their own change something.

        Raises:
            InvalidRequestError: A form has no token of this session.
        """
        if not req.path.startswith(DASHBOARD):
            return
        visit = Visit(self._frame, req, resp)
        if caller_of(req) is NOBODY and not req.path.startswith(_OPEN):
            self._to_log_in(req, visit)
            resp.complete = True
            return
        if req.method in _READS:
            return
        req.context.form = form = _form(req)
        given = form.get(TOKEN, [""])[-1]
        if not self._frame.sessions.is_token(visit.session_id, given):
            message = "the form is of another session: go back, load the page anew and try again"
            raise InvalidRequestError(FORM_TOO_OLD, message, problems.FOREIGN_ORIGIN)

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        _resource: object,
        _succeeded: bool,  # noqa: FBT001 - Falcon's signature
    ) -> None:
        """Make a page of a problem, and keep the browser from loading or keeping anything else."""
        if not req.path.startswith(DASHBOARD):
            return
        resp.set_header("Content-Security-Policy", POLICY)
        resp.set_header("Referrer-Policy", "same-origin")
        if resp.get_header("Cache-Control") is None:
            resp.set_header("Cache-Control", "no-store")
        if resp.content_type == PROBLEM_TYPE and resp.data:
            problem, resp.data = orjson.loads(resp.data), None
            visit = Visit(self._frame, req, resp)
            title = "The form is too old" if problem["error"] == FORM_TOO_OLD else problem["title"]
            visit.show("problem.html", title, problem=problem)

    @staticmethod
    def on_refused(
        _req: falcon.Request, resp: falcon.Response, error: RefusedError, _params: object
    ) -> None:
        """Answer with the problem that the API has named."""
        resp.status = error.status
        resp.content_type = PROBLEM_TYPE
        resp.data = orjson.dumps(error.problem)

    def _to_log_in(self, req: falcon.Request, visit: Visit) -> None:
        """Lead to the form, and from there back.

        A link on a foreign page is followed without the cookie (`SameSite=Strict`), though there
        may be a session. So such a visitor gets a page that asks for itself once more.
        """
        if req.get_header("Sec-Fetch-Site") == "cross-site" and req.method == "GET":
            visit.show("again.html", "One moment")
            return
        here = visit.here if req.method == "GET" else DASHBOARD
        visit.lead(f"{LOG_IN}?{urlencode({'next': here})}" if here != DASHBOARD else LOG_IN)


def _form(req: falcon.Request) -> dict[str, list[str]]:
    """Return the fields of the form by name.

    Raises:
        InvalidRequestError: It is no form.
    """
    text = req.bounded_stream.read()
    try:
        fields = parse_qsl(
            text.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise InvalidRequestError("the form cannot be read") from error
    form: dict[str, list[str]] = {}
    for name, value in fields:
        form.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return form
