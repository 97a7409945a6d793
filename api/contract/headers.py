"""The headers of requests and answers that are not HTTP's own."""

from dataclasses import replace

from task_queue.api.contract.operation import Header

_TEXT = {"type": "string"}

IDEMPOTENCY_KEY = Header(
    name="Idempotency-Key",
    description="Makes the request take effect once, however often it is sent: 1 to 255 visible"
    " ASCII characters, as they are or as a string in double quotes. The first answer is kept for"
    " a day (draft-ietf-httpapi-idempotency-key-header-07).",
    schema={
        "type": "string",
        "pattern": r'^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$',
    },
    example="order-8151",
)
TRACEPARENT = Header(
    name="traceparent",
    description="The trace that the task belongs to (W3C Trace Context): kept with it, shown, and"
    " handed to its action and its callback. What is no traceparent is ignored.",
    schema=_TEXT,
    example="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
TRACESTATE = Header(
    name="tracestate",
    description="What goes with the trace; of a long one the first 512 characters at the most.",
    schema=_TEXT,
    example="congo=t61rcWkgMzE",
)
TRACE = (TRACEPARENT, TRACESTATE)
PREFER = Header(
    name="Prefer",
    description="`wait=N`: answer once the task is final, after N whole seconds at the latest, and"
    " after `http.max_wait_seconds` (RFC 7240). What cannot be met is ignored.",
    schema=_TEXT,
    example="wait=20",
)
PREFER_OF_LEASES = replace(
    PREFER,
    description="`wait=N`: answer once there is a task, after N whole seconds at the latest, and"
    " after `http.max_wait_seconds` (RFC 7240). What cannot be met is ignored.",
)
PREFERENCE_APPLIED = Header(
    name="Preference-Applied",
    description="How long the answer waited at most.",
    schema={"type": "string", "pattern": "^wait=[0-9]+$"},
    example="wait=20",
)
REQUEST_ID = Header(
    name="X-Request-ID",
    description="The id of the request, which the log has as well: the client's own, if it sent"
    " one of 1 to 128 characters of `A-Z a-z 0-9 . _ : + / = -`, or a new one.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9._:+/=-]{1,128}$"},
    example="0190f6a2-7c3e-7f00-8000-000000000001",
)
REQUEST_ID_GIVEN = replace(REQUEST_ID, schema=_TEXT)
"""The same in a request, where one that is not of this form is taken for none."""
ACCEPT_OF_METRICS = Header(
    name="Accept",
    description="`application/openmetrics-text` with `version=1.0.0`, or `2.0.0` for native"
    " histograms; anything else is answered as plain text.",
    schema=_TEXT,
    example="application/openmetrics-text; version=1.0.0",
)
ACCEPT_ENCODING = Header(
    name="Accept-Encoding",
    description="The codings in which a body may be packed, if it was packed in another one.",
    schema=_TEXT,
    example="gzip",
)
CONTENT_SECURITY_POLICY = Header(
    name="Content-Security-Policy",
    description="What a browser may load and run for the page: nothing but its own style.",
    schema=_TEXT,
    example="default-src 'none'",
)
LOCATION = Header(
    name="Location",
    description="The URL of the task.",
    schema={"type": "string", "format": "uri-reference"},
    example="/tasks/0190f6a2-7c3e-7f00-8000-000000000001",
)
RETRY_AFTER = Header(
    name="Retry-After",
    description="The seconds after which to come again.",
    schema={"type": "string", "pattern": "^[0-9]+$"},
    example="1",
)
RATE_LIMIT_POLICY = Header(
    name="RateLimit-Policy",
    description="The limits of the queue, if it has any: `length` counts tasks, `bytes` the bytes"
    " of their data. And that of the key, if `auth.rate_limit` sets one: `requests`"
    " (draft-ietf-httpapi-ratelimit-headers).",
    schema=_TEXT,
    example='"length";q=1000',
)
RATE_LIMIT = Header(
    name="RateLimit",
    description="What these limits leave.",
    schema=_TEXT,
    example='"length";r=999',
)
IDEMPOTENCY_REPLAYED = Header(
    name="Idempotency-Replayed",
    description="`true`: this is the answer to the first request with this `Idempotency-Key`.",
    schema={"const": "true"},
    example="true",
)
WWW_AUTHENTICATE = Header(
    name="WWW-Authenticate",
    description="That a key is needed, or what is wrong with this one, or which scope it needs.",
    schema=_TEXT,
    example='Bearer realm="task-queue"',
)
OF_ALL = (REQUEST_ID, RATE_LIMIT_POLICY, RATE_LIMIT)
"""What any answer may have."""
