"""The gate that each request passes: who sends it, whether that may be done, and who did what."""

from functools import partial

import falcon

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.changes import Record
from task_queue.actors.tasks.audit import AuditEntry
from task_queue.actors.tasks.text import one_line, printable
from task_queue.api.auth.admission import Admission
from task_queue.api.auth.buckets import Taken
from task_queue.api.auth.caller import CALLER_KEY, EVERYBODY, NOBODY, Caller, caller_of
from task_queue.api.auth.keyring import RefusedKeyError
from task_queue.api.auth.keys import AUTHORIZATION, MARK, NotBearerError, presented
from task_queue.api.auth.scopes import Scope
from task_queue.api.auth.sessions import COOKIE, DASHBOARD, Sessions
from task_queue.api.contract.operation import Operation, Operations
from task_queue.api.edge import Edge
from task_queue.api.origin import check_origin
from task_queue.api.responses import problems, rate_limit
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.late import HOLDS_KEY
from task_queue.api.traffic import OPERATION
from task_queue.config.logger import get_logger

REALM = "task-queue"
MAX_TARGET_CHARS = 1_000
"""What the audit log keeps of a path with its query."""

_ALIVE = "/healthz"
"""Where no key is looked at: whether the process lives is to be known without the database."""
_READY = "/readyz"
"""Where nobody is asked for a key, nor is anything refused: probes have none, and mean no harm."""
_log = get_logger()


class Gate:
    """Lets a request through to its resource, or refuses it; records what operators do."""

    def __init__(
        self,
        edge: Edge,
        admission: Admission,
        operations: Operations,
        sessions: Sessions | None = None,
    ) -> None:
        """Keep the rules.

        Args:
            edge: The way to the audit log.
            admission: Who is let in.
            operations: All of them, each with the scope it takes.
            sessions: Who has logged in to the dashboard; None: there is none.
        """
        self._sessions = sessions
        self._edge = edge
        self._keyring = admission.keyring
        self._needs_key = admission.needs_key
        self._buckets = admission.buckets
        self._operations = operations

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Find out who sends the request, before anything of it is looked at.

        Raises:
            InvalidRequestError: It has no key that holds, or comes too soon.
            UnavailableError: Whether the key holds is not known.
        """
        if req.path == _ALIVE:
            return
        if (inside := req.env.get(CALLER_KEY)) is not None:
            # Of the dashboard, which has been through here with the same caller.
            req.context.caller = inside
            return
        if req.path == _READY:
            req.context.caller = self._prober(req)
            return
        if self._sessions is not None and req.path.startswith(DASHBOARD):
            caller = self._visitor(req, resp, self._sessions)
        else:
            caller = self._caller(req, resp, needs_key=self._needs_key and not self._is_open(req))
        if caller is None:
            if self._needs_key:
                req.context.caller = NOBODY
            return
        req.context.caller = caller
        if self._buckets is not None:
            taken = req.context.taken = self._buckets.take(caller.who)
            if taken.retry_after_seconds is not None:
                message = f"the key {caller.name} makes more requests than auth.rate_limit allows"
                raise InvalidRequestError(
                    "too many requests",
                    message,
                    problems.TOO_MANY_REQUESTS,
                    taken.retry_after_seconds,
                )

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _params: object
    ) -> None:
        """Accept what the caller may do, and record it if it is an operator's.

        Raises:
            InvalidRequestError: The caller may not do it, or a page of another origin asks.
            UnavailableError: It could not be recorded, so it is not done.
        """
        operation = self._operations.of(req)
        if operation is None:
            return
        req.env[OPERATION] = operation.operation_id
        if operation.scope is None:
            return
        caller = caller_of(req)
        if not caller.may(operation.scope):
            resp.set_header("WWW-Authenticate", _challenge("insufficient_scope", operation.scope))
            raise InvalidRequestError(
                "scope missing",
                _why_not(operation.scope, caller),
                problems.SCOPE_MISSING,
            )
        if operation.is_recorded:
            check_origin(req.env)  # a read, too: it leaves an entry
            entry = AuditEntry(
                at=self._edge.now(),
                who=caller.who,
                what=operation.operation_id,
                target=_target(req, operation),
                source=req.env.get("REMOTE_ADDR", ""),
            )
            req.context.recorded = (self._edge.ask_writer(Record(entry)), entry)

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        _resource: object,
        _succeeded: bool,  # noqa: FBT001 - Falcon's signature
    ) -> None:
        """Say what the key has left, and add the status to what was recorded."""
        taken: Taken | None = getattr(req.context, "taken", None)
        if taken is not None and self._buckets is not None:
            for name, value in rate_limit.of_requests(
                self._buckets.burst,
                self._buckets.window_seconds,
                taken.left,
                taken.retry_after_seconds,
            ):
                resp.append_header(name, value)
        if (recorded := getattr(req.context, "recorded", None)) is not None:
            number, entry = recorded
            selected = getattr(req.context, "selected", None)
            target = None if selected is None else f"{entry.target} ({selected})"
            self._edge.note_status(number, resp.status_code, target)
            _log.info(
                "operator's request",
                who=entry.who,
                what=entry.what,
                target=target or entry.target,
                source=entry.source,
                status=resp.status_code,
            )

    def _prober(self, req: falcon.Request) -> Caller:
        """Return who asks whether it is ready, of whom the readers are told more."""
        if not self._needs_key:
            return EVERYBODY
        try:
            key = presented(req.env)
            caller = NOBODY if key is None or self._keyring is None else self._keyring.judge(key)
        except (NotBearerError, RefusedKeyError, TaskQueueError):
            return NOBODY
        return caller if caller.may(Scope.READ) else NOBODY

    def _visitor(
        self, req: falcon.Request, resp: falcon.Response, sessions: Sessions
    ) -> Caller | None:
        """Return who asks for a page of the dashboard: by a key, or logged in; None: nobody yet.

        Raises:
            InvalidRequestError: The key does not hold.
            UnavailableError: Whether it holds is not known.
        """
        caller = self._caller(req, resp, needs_key=False)
        if caller is not None or not self._needs_key:
            return caller
        for cookie in req.get_cookie_values(COOKIE) or ():
            if (session := sessions.find(cookie)) is not None:
                req.context.session_id = session.id
                return session.caller
        return None

    def _is_open(self, req: falcon.Request) -> bool:
        return req.path in self._operations.open_paths

    def _caller(
        self, req: falcon.Request, resp: falcon.Response, *, needs_key: bool
    ) -> Caller | None:
        """Return who has the request's key; None: it takes none.

        Where no key is needed, one that is sent is judged all the same, so that somebody can try
        what it may; what other programs put into `Authorization` is not.

        Raises:
            InvalidRequestError: The key does not hold, or is missing.
            UnavailableError: Whether it holds is not known.
        """
        header = req.env.get(AUTHORIZATION)
        if header is not None and self._keyring is not None:
            judged = self._keyring.recent(header)
            if judged is not None:
                req.env[HOLDS_KEY] = judged.holds
                return judged.caller
        try:
            key = presented(req.env)
        except NotBearerError as error:
            if not needs_key:
                return None
            resp.set_header("WWW-Authenticate", _challenge())
            raise InvalidRequestError("key needed", str(error), problems.KEY_NEEDED) from error
        if key is None or self._keyring is None:
            if not needs_key:
                return None
            resp.set_header("WWW-Authenticate", _challenge())
            message = "this takes a key, in the header Authorization: Bearer KEY"
            raise InvalidRequestError("key needed", message, problems.KEY_NEEDED)
        if not self._needs_key and not key.startswith(MARK):
            return self._keyring.configured(key)
        req.env[HOLDS_KEY] = partial(self._keyring.holds, key)
        try:
            return self._keyring.judge(key, header)
        except RefusedKeyError as error:
            resp.set_header("WWW-Authenticate", _challenge("invalid_token"))
            raise InvalidRequestError("key refused", str(error), problems.KEY_NEEDED) from error


def _target(req: falcon.Request, operation: Operation) -> str:
    """Return what is asked for: the path, and the query of an operation that takes one."""
    asked = bool(req.query_string) and operation.query is not None
    text = f"{req.path}?{req.query_string}" if asked else req.path
    return printable(one_line(text, MAX_TARGET_CHARS))


def _challenge(error: str | None = None, scope: Scope | None = None) -> str:
    """Return the value of `WWW-Authenticate` (RFC 6750, section 3)."""
    parts = [f'realm="{REALM}"']
    if error is not None:
        parts.append(f'error="{error}"')
    if scope is not None:
        parts.append(f'scope="{scope.value}"')
    return f"Bearer {', '.join(parts)}"


def _why_not(scope: Scope, caller: Caller) -> str:
    if scope is Scope.ADMIN and Scope.ADMIN in caller.scopes:
        return (
            f"this is about all queues, and the key {caller.name} is restricted to"
            f" {', '.join(sorted(caller.queues or ()))}"
        )
    scopes = ", ".join(each.value for each in Scope if each in caller.scopes)
    return (
        f"this takes a key with the scope {scope.value}; the key {caller.name} has"
        f" {scopes or 'none that is known here'}"
    )
