"""The registry of problems: each error that is answered is of one of these kinds.

A problem's `type` is the URL of its description at `/docs`, which is made from this registry.
"""

from dataclasses import dataclass
from http import HTTPStatus

from task_queue.api.responses.urls import url


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A kind of problem.

    Attributes:
        slug: Its name in URLs.
        status: The HTTP status it is answered with.
        title: What it is, in a few words.
        meaning: When it is answered.
        remedy: What to do.
        errors: The texts that the member `error` can have; none: a sentence of its own each time.
    """

    slug: str
    status: HTTPStatus
    title: str
    meaning: str
    remedy: str
    errors: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The URI reference of its description."""
        return url(f"/docs#{self.slug}")


INVALID_REQUEST = Problem(
    slug="invalid-request",
    status=HTTPStatus.BAD_REQUEST,
    title="A member or parameter is wrong",
    meaning="Something in the body, the query or a header is missing, unknown, or not allowed.",
    remedy="Read `detail`: it names the member, its value and what is allowed. Change the request;"
    " sent again as it is, it is refused again.",
)
CONTRADICTION = Problem(
    slug="contradiction",
    status=HTTPStatus.BAD_REQUEST,
    title="Two members contradict each other",
    meaning="Each member is right by itself, but they cannot be given together, or one has to be"
    " greater than the other.",
    remedy="Read `detail`: it names both. Leave one of them out, or change it.",
)
INVALID_CURSOR = Problem(
    slug="invalid-cursor",
    status=HTTPStatus.BAD_REQUEST,
    title="The cursor is not of this listing",
    meaning="The cursor was not given by this service, or by a listing with other filters or in"
    " another order.",
    remedy="Use the `next_cursor` of the page before with the same filters, or none.",
)
INVALID_JSON = Problem(
    slug="invalid-json",
    status=HTTPStatus.BAD_REQUEST,
    title="The body is not JSON",
    meaning="The body is not a JSON object in UTF-8, or holds what no database gives back the"
    " same: an integer beyond 64 bits, a NUL character, a member twice, over 100 levels.",
    remedy="Write the body with a JSON library; send large integers as strings.",
    errors=("invalid JSON",),
)
ACTION_REQUIRED = Problem(
    slug="action-required",
    status=HTTPStatus.BAD_REQUEST,
    title="No action is named",
    meaning="A publish has no `action`, or an empty one.",
    remedy="Name what is to be done; `GET /actions` lists what there is.",
    errors=("action required",),
)
UNKNOWN_ACTION = Problem(
    slug="unknown-action",
    status=HTTPStatus.BAD_REQUEST,
    title="There is no such action",
    meaning="The action is not in the settings, nor built in.",
    remedy="`GET /actions` lists what there is; `detail` names what is like it.",
    errors=("unknown action",),
)
UNKNOWN_QUEUE = Problem(
    slug="unknown-queue",
    status=HTTPStatus.BAD_REQUEST,
    title="There is no such queue",
    meaning="The queue in a body or a filter is not in the settings.",
    remedy="`GET /queues` lists what there is; `detail` names what is like it.",
    errors=("unknown queue",),
)
INVALID_DATA = Problem(
    slug="invalid-data",
    status=HTTPStatus.BAD_REQUEST,
    title="The action does not take this data",
    meaning="The task's `data` does not fit the schema of its action.",
    remedy="`GET /actions/{name}` shows the schema; `detail` names the wrong member.",
)
NOT_EXTERNAL = Problem(
    slug="not-external",
    status=HTTPStatus.BAD_REQUEST,
    title="The action is not external",
    meaning="A worker over HTTP asks for tasks of an action that this service runs itself, or there"
    " is no external action at all.",
    remedy="Declare it in the settings, as `[actions.NAME] external = true`; `detail` lists those"
    " that are.",
)
CALLBACK_REFUSED = Problem(
    slug="callback-refused",
    status=HTTPStatus.BAD_REQUEST,
    title="Nobody can be told at this callback",
    meaning="`callback` is no address that a request can go to, or is of a task that is not told"
    " of, or `callbacks.secret` is not set.",
    remedy="Read `detail`. A callback is an address with http or https, without user and password.",
)
INVALID_SCHEDULE = Problem(
    slug="invalid-schedule",
    status=HTTPStatus.BAD_REQUEST,
    title="A schedule cannot come at such times",
    meaning="`cron`, `every` or `timezone` cannot be read, or no such time ever comes.",
    remedy="Read `detail`: it quotes the part that is wrong and says what is allowed.",
)
NEVER_STARTS = Problem(
    slug="never-starts",
    status=HTTPStatus.BAD_REQUEST,
    title="The task would expire before it may start",
    meaning="`expires_at` is not later than the time at which the delay is over, or a schedule's"
    " `expires_after_seconds` not more than the delay of its task.",
    remedy="Expire it later, or delay it less.",
)
MALFORMED_REQUEST = Problem(
    slug="malformed-request",
    status=HTTPStatus.BAD_REQUEST,
    title="This is not a well-formed HTTP request",
    meaning="The request line, a header or the framing of the body can be understood in two ways,"
    " or in none.",
    remedy="Use an HTTP library; `detail` quotes the part that is wrong.",
    errors=("bad request",),
)
KEY_NEEDED = Problem(
    slug="key-needed",
    status=HTTPStatus.UNAUTHORIZED,
    title="It takes a key that holds",
    meaning="The request has no key, or one that is not known, has expired or was revoked.",
    remedy="Send `Authorization: Bearer KEY` with a key of `task-queue keys create` or of the"
    " settings.",
    errors=("key needed", "key refused"),
)
SCOPE_MISSING = Problem(
    slug="scope-missing",
    status=HTTPStatus.FORBIDDEN,
    title="The key is not for this",
    meaning="The key holds, but lacks the scope that the operation takes, or is restricted to"
    " queues where the operation is about all of them.",
    remedy="Use a key with the scope that `detail` names; scopes of a key do not change, so make"
    " another one.",
    errors=("scope missing",),
)
FOREIGN_ORIGIN = Problem(
    slug="foreign-origin",
    status=HTTPStatus.FORBIDDEN,
    title="A page of another origin may change nothing",
    meaning="A browser says that a web page of another origin caused the request.",
    remedy="Send it from a page of this origin, or from a program that is no browser.",
    errors=("foreign origin",),
)
QUEUE_NOT_ALLOWED = Problem(
    slug="queue-not-allowed",
    status=HTTPStatus.FORBIDDEN,
    title="The key may not publish to this queue",
    meaning="The key is restricted to other queues; whether there is this one is not said.",
    remedy="Publish to one of the queues that `detail` names, or use another key. A task without"
    " `queue` goes to `tasks`.",
    errors=("queue not allowed",),
)
NOT_FOUND = Problem(
    slug="not-found",
    status=HTTPStatus.NOT_FOUND,
    title="Nothing is there",
    meaning="There is no such path, or no task, queue, action or schedule by this name; a finished"
    " task is deleted once its retention is over.",
    remedy="Check the path and the name. URLs have single slashes, and none at the end.",
    errors=(
        "not found",
        "task not found",
        "queue not found",
        "action not found",
        "schedule not found",
        "lease not found",
    ),
)
METHOD_NOT_ALLOWED = Problem(
    slug="method-not-allowed",
    status=HTTPStatus.METHOD_NOT_ALLOWED,
    title="This path does not take the method",
    meaning="The path is there, but not with this method.",
    remedy="The header `Allow` names the methods it takes.",
    errors=("method not allowed",),
)
REQUEST_TIMEOUT = Problem(
    slug="request-timeout",
    status=HTTPStatus.REQUEST_TIMEOUT,
    title="The request took too long to come in",
    meaning="The head or the body did not come in within its limit; the connection is closed.",
    remedy="Send it again over a faster line, or raise `http.head_timeout_seconds` or"
    " `http.body_timeout_seconds`.",
    errors=("request timeout",),
)
CONFLICT = Problem(
    slug="conflict",
    status=HTTPStatus.CONFLICT,
    title="Its present state does not allow this",
    meaning="The task, queue or schedule is in a state in which this cannot be done to it.",
    remedy="Look at it again; `detail` says which state it is in and what would be possible.",
)
STILL_ANSWERED = Problem(
    slug="still-answered",
    status=HTTPStatus.CONFLICT,
    title="The first request with this key is still being answered",
    meaning="Another request with the same `Idempotency-Key` has come and has no answer yet.",
    remedy="Repeat the request after `Retry-After` seconds: it gets the first one's answer.",
    errors=("a request with this Idempotency-Key is still being answered",),
)
LEASE_LOST = Problem(
    slug="lease-lost",
    status=HTTPStatus.CONFLICT,
    title="The lease is not held any more",
    meaning="It has lapsed, or the task was settled by something else. Nothing of this was"
    " recorded; if it lapsed, the task is run again, or has been.",
    remedy="Let go of the task. Extend leases in time, or ask for longer ones.",
    errors=(
        "the lease is not held any more; nothing was recorded",
        "the lease has been ended by something else; nothing was recorded",
    ),
)
RESULT_TOO_LONG = Problem(
    slug="result-too-long",
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    title="The result is too long",
    meaning="The result has more bytes, as JSON, than `execution.max_result_bytes`. The lease is"
    " still held.",
    remedy="Keep large results elsewhere, and their address in the result.",
)
BODY_TOO_LONG = Problem(
    slug="body-too-long",
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    title="The body is too long",
    meaning="The body, unpacked too, has more bytes than `http.max_body_bytes`.",
    remedy="Publish in smaller batches; keep large data elsewhere, and its address in the task.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    slug="unsupported-media-type",
    status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    title="The body is not said to be JSON",
    meaning="`Content-Type` is not `application/json` in UTF-8, or of an event"
    " `application/cloudevents+json`; or `Content-Encoding` is neither `gzip` nor `identity`.",
    remedy="Send `Content-Type: application/json`; pack with gzip, or not at all.",
)
EXPECTATION_FAILED = Problem(
    slug="expectation-failed",
    status=HTTPStatus.EXPECTATION_FAILED,
    title="The expectation is not known",
    meaning="`Expect` is something other than `100-continue`.",
    remedy="Leave the header out.",
    errors=("expectation failed",),
)
UNKNOWN_HOST = Problem(
    slug="unknown-host",
    status=HTTPStatus.MISDIRECTED_REQUEST,
    title="The host is not a name of this server",
    meaning="`Host` is neither localhost, nor an address it listens on, nor allowed.",
    remedy="Ask for it by one of its names, or add this one to `http.allowed_hosts`.",
    errors=("unknown host",),
)
KEY_REUSED = Problem(
    slug="key-reused",
    status=HTTPStatus.UNPROCESSABLE_ENTITY,
    title="The idempotency key belongs to another request",
    meaning="`Idempotency-Key`, or an event's `id` and `source`, was used before, with another path"
    " or body.",
    remedy="Use a new key for each new request, and the old one only to repeat one.",
)
OVER_LIMIT = Problem(
    slug="over-limit",
    status=HTTPStatus.TOO_MANY_REQUESTS,
    title="The queue holds as much as it may",
    meaning="The queue has reached its `max_length` or `max_bytes`; nothing was accepted.",
    remedy="Repeat the request after `Retry-After` seconds, each time later; `RateLimit` says what"
    " is left.",
)
TOO_MANY_REQUESTS = Problem(
    slug="too-many-requests",
    status=HTTPStatus.TOO_MANY_REQUESTS,
    title="The key makes more requests than it may",
    meaning="The key has used up `auth.rate_burst` and comes more often than `auth.rate_limit`;"
    " nothing was done.",
    remedy="Repeat the request after `Retry-After` seconds; `RateLimit` says what is left.",
    errors=("too many requests",),
)
HEADERS_TOO_LONG = Problem(
    slug="headers-too-long",
    status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    title="The headers are too long",
    meaning="The head of the request has more than 32768 bytes.",
    remedy="Send fewer or shorter headers.",
)
INTERNAL_ERROR = Problem(
    slug="internal-error",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="A defect of the service",
    meaning="Something happened that should not; the log has it under the request's id.",
    remedy="Report it with the `X-Request-ID` of the answer. Whether the request took effect is"
    " unknown; with an `Idempotency-Key` it can be repeated.",
    errors=("internal error",),
)
QUERY_FAILED = Problem(
    slug="query-failed",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="The database could not answer",
    meaning="The database can be reached but refused what it was asked; the log says why.",
    remedy="Look at the log under the request's id; to repeat it helps only if that is mended.",
    errors=("query failed",),
)
PUBLISH_REFUSED = Problem(
    slug="publish-refused",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="The database refused the task",
    meaning="The database can be reached but refused the task; it was not accepted.",
    remedy="Look at the log under the request's id; to repeat it helps only if that is mended.",
    errors=("failed to queue task",),
)
NOT_IMPLEMENTED = Problem(
    slug="not-implemented",
    status=HTTPStatus.NOT_IMPLEMENTED,
    title="The transfer coding is not known",
    meaning="`Transfer-Encoding` names something other than `chunked`.",
    remedy="Send the body chunked, or with a `Content-Length`.",
    errors=("not implemented",),
)
NOT_QUEUED = Problem(
    slug="not-queued",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="The task could not be queued now",
    meaning="The database or a part of the service is away, or no answer came in time; `detail`"
    " says whether the task was accepted.",
    remedy="Repeat the request after `Retry-After` seconds, with an `Idempotency-Key`, so that it"
    " takes effect once; `GET /readyz` says what is wrong.",
    errors=("failed to queue task",),
)
DATABASE_UNAVAILABLE = Problem(
    slug="database-unavailable",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="The database cannot be used now",
    meaning="The database or a part of the service is away, or no answer came in time.",
    remedy="Repeat the request after `Retry-After` seconds; `GET /readyz` says what is wrong.",
    errors=("database unavailable",),
)
VERSION_NOT_SUPPORTED = Problem(
    slug="version-not-supported",
    status=HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    title="The version of HTTP is not spoken here",
    meaning="The request is neither HTTP/1.1 nor HTTP/1.0.",
    remedy="Speak HTTP/1.1; put a proxy in front for others.",
    errors=("http version not supported",),
)

PROBLEMS = {each.slug: each for each in list(vars().values()) if isinstance(each, Problem)}
"""All of them, by name, in the order above."""

OF_HTTP = {
    each.status: each
    for each in (
        MALFORMED_REQUEST,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REQUEST_TIMEOUT,
        BODY_TOO_LONG,
        UNSUPPORTED_MEDIA_TYPE,
        EXPECTATION_FAILED,
        HEADERS_TOO_LONG,
        INTERNAL_ERROR,
        NOT_IMPLEMENTED,
        VERSION_NOT_SUPPORTED,
    )
}
"""What a status means that is given by Falcon or waitress, which know no problems."""
