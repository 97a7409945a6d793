import base64
import gc
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
import standardwebhooks
import trustme

from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.action import HttpAction
from task_queue.actors.actions.http.answer import retry_after_seconds
from task_queue.actors.actions.http.connection import default_ssl_context
from task_queue.actors.errors import (
    ActionLoadError,
    Cancelled,
    InvalidDataError,
    Reject,
    TimedOut,
)
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS
from task_queue.actors.tasks.slot import Slot
from task_queue.config.actions import statuses
from tests.endpoint import (
    Answer,
    Endpoint,
    Peer,
    Received,
    answers,
    full_listener,
    in_turn,
    is_deaf,
    is_silent,
    never_ends,
    redirects,
    refusing_port,
    says,
    says_no_more,
    trickles,
)
from tests.fakes import DEADLINE_SECONDS, NOW, ManualClock

KEY = b"0123456789abcdef0123456789abcdef"
TOO_LONG = "the answer was not kept: the result has more bytes; execution.max_result_bytes is {}"
BROKEN_OFF = "the answer was broken off: this is what came"
UNREADABLE = "the answer was not kept: its headers cannot be read"
TWELVE = gzip.compress(b"12")
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
SECRETS = ["hunter2", "s3cr3t-token", base64.b64encode(KEY).decode(), KEY.decode()]


def webhook(url: str, **changes: Any) -> HttpAction:  # noqa: ANN401 - any argument
    arguments: dict[str, Any] = {
        "name": "notify",
        "url": url,
        "method": "POST",
        "headers": {},
        "secrets": [],
        "url_in_data": False,
        "allow_networks": ["127.0.0.1/32", "::1/128"],
        "follow_redirects": False,
        "retried": statuses(["408", "425", "429", "5xx"]),
        "timeout_seconds": 5.0,
        "overdue_seconds": 1.0,
        "max_result_bytes": 100_000,
    }
    return HttpAction(**(arguments | changes))


def a_call(
    data: str = '{"text":"hello"}',
    timeout_seconds: float = DEADLINE_SECONDS,
    *,
    attempt: int = 1,
    monotonic: Callable[[], float] = monotonic,
) -> Call:
    claimed = ClaimedTask(Lease("task", attempt), "notify", data, attempt, 5)
    return Call(claimed, Slot("tasks"), timeout_seconds, monotonic)


def a_call_that_ends_after_what_is_sent(endpoint: Endpoint) -> Call:
    """Its clock stands still until an answer was sent, and goes on with every look at it.

    What has been sent is read within a few looks; the rest of them are waits for more.
    """
    looks = count()

    def clock() -> float:
        return next(looks) if any(peer.sent_bytes for peer in endpoint.peers) else 0.0

    return a_call(timeout_seconds=20.0, monotonic=clock)


def answered(answer: Answer, **changes: Any) -> str:  # noqa: ANN401
    """What a task comes to that is answered so; `{}` in an error stands for the endpoint's host."""
    with Endpoint(answer) as endpoint:
        try:
            return webhook(endpoint.url(), **changes).run(a_call()).result
        except (Reject, Ended) as error:
            error.args = (str(error).replace(f"127.0.0.1:{endpoint.port}", "{}"),)
            raise


def delivered(answer: Answer, **changes: Any) -> tuple[str, str | None]:  # noqa: ANN401
    """The result, and what is said beside it, of a task that is answered so."""
    with Endpoint(answer) as endpoint:
        return webhook(endpoint.url(), **changes).run(a_call())


def sent(data: str = '{"text":"hello"}', path: str = "/", **changes: Any) -> Received:  # noqa: ANN401
    """What the endpoint got."""
    with Endpoint() as endpoint:
        webhook(endpoint.url(path), **changes).run(a_call(data))
        return endpoint.requests[0]


def query_of(received: Received) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(received.target).query, keep_blank_values=True)


def no_such_name(*_: object, **__: object) -> list[Any]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def leads_to(address: str) -> Callable[..., Any]:
    """A resolver for which every name has this address."""

    def resolve(_: str, port: int, *, type: int) -> list[Any]:  # noqa: A002 - its name there
        return socket.getaddrinfo(address, port, type=type, flags=socket.AI_NUMERICHOST)

    return resolve


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def fresh_default() -> Iterator[None]:
    """Forgets whom the default trusts, before and after."""
    default_ssl_context.cache_clear()
    yield
    default_ssl_context.cache_clear()


# What it is


def test_it_says_where_the_data_goes_and_nothing_of_the_rest_of_the_address() -> None:
    action = webhook("https://user:hunter2@hooks.example.com/services/s3cr3t-token?key=s3cr3t")
    assert action.description == "Sends the data to hooks.example.com"
    assert (action.kind, action.execution, action.schema) == ("http", "thread", None)
    assert (action.timeout_seconds, action.overdue_seconds) == (5.0, 1.0)


def test_with_the_address_in_the_data_it_says_so() -> None:
    action = webhook("https://hooks.example.com:8443/x", url_in_data=True)
    assert action.description == (
        "Sends the data to the url in it, or else to hooks.example.com:8443"
    )
    assert action.schema == {
        "type": "object",
        "properties": {"url": {"type": "string", "format": "uri"}},
    }


@pytest.mark.parametrize("url", ["ftp://example.com", "http://", "http://a:99999", "nothing", ""])
def test_an_address_to_which_no_request_can_go_is_refused_at_start(url: str) -> None:
    with pytest.raises(ActionLoadError):
        webhook(url)


# What is sent


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_data_is_sent_as_it_is_stored(method: str) -> None:
    data = '{ "text" : "grüße",  "number": 1.0, "n": 12345678901234567890123 }'
    received = sent(data, "/hook?a=1", method=method)
    assert (received.method, received.target) == (method, "/hook?a=1")
    assert received.body == data.encode()
    assert received.headers["content-type"] == "application/json"
    assert received.headers["content-length"] == str(len(data.encode()))
    assert received.headers["user-agent"] == "task-queue"
    assert received.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_without_a_body_the_members_of_the_data_are_the_query(method: str) -> None:
    data = '{"text":"a b&c=d/ü","number":1.5,"yes":true,"none":null,"list":[1,"x"],"":"e"}'
    received = sent(data, "/hook?a=1&text=old", method=method)
    assert received.method == method
    assert query_of(received) == [
        ("a", "1"),
        ("text", "old"),
        ("text", "a b&c=d/ü"),
        ("number", "1.5"),
        ("yes", "true"),
        ("none", "null"),
        ("list", '[1,"x"]'),
        ("", "e"),
    ]
    assert received.body == b""
    assert not received.headers.keys() & {"content-type", "content-length", "transfer-encoding"}


@pytest.mark.parametrize(("path", "target"), [("", "/"), ("/x?", "/x?"), ("/x?a=%2F", "/x?a=%2F")])
def test_no_data_adds_nothing_to_the_query(path: str, target: str) -> None:
    assert sent("{}", path, method="GET").target == target


def test_data_too_long_for_a_query_is_rejected() -> None:
    data = orjson.dumps({"text": "x" * 100_000}).decode()
    with pytest.raises(Reject, match="too long for the query"):
        webhook("http://127.0.0.1", method="GET").run(a_call(data))


def test_the_host_is_named_with_its_port() -> None:
    with Endpoint(host="::1") as endpoint:
        webhook(endpoint.url()).run(a_call())
        assert endpoint.requests[0].headers["host"] == f"[::1]:{endpoint.port}"


def test_configured_headers_win_over_those_that_are_sent_anyway() -> None:
    received = sent(headers={"USER-AGENT": "mine", "Content-Type": "text/json", "X-Key": "hunter2"})
    assert received.headers["user-agent"] == "mine"
    assert received.headers["content-type"] == "text/json"
    assert received.headers["x-key"] == "hunter2"


@pytest.mark.parametrize("secrets", [[], [KEY]])
def test_configured_headers_cannot_pretend_to_be_a_webhooks_own(secrets: list[bytes]) -> None:
    names = ["Webhook-Id", "WEBHOOK-TIMESTAMP", "webhook-signature", "Content-Length", "Connection"]
    received = sent(headers=dict.fromkeys(names, "7777"), secrets=secrets, now=lambda: NOW)
    assert received.headers["webhook-id"] == "task"
    assert received.headers["webhook-timestamp"] == f"{int(NOW)}"
    assert "7777" not in received.headers.values()
    assert ("webhook-signature" in received.headers) == bool(secrets)


def test_the_user_in_the_address_is_authorized() -> None:
    with Endpoint() as endpoint:
        webhook(endpoint.url(user="me:hunter%32@")).run(a_call())
        received = endpoint.requests[0]
    assert received.headers["authorization"] == f"Basic {base64.b64encode(b'me:hunter2').decode()}"
    assert "@" not in received.headers["host"]


def test_a_signature_stays_verifiable_and_the_id_tells_repetitions() -> None:
    clock = ManualClock(time.time())
    with Endpoint(in_turn(answers(500), answers(200))) as endpoint:
        action = webhook(endpoint.url(), secrets=[KEY], now=clock)
        with pytest.raises(Ended):
            action.run(a_call())
        clock.advance(60)
        action.run(a_call(attempt=2))
    reference = standardwebhooks.Webhook(f"whsec_{base64.b64encode(KEY).decode()}")
    for received in endpoint.requests:
        assert reference.verify(received.body, received.headers) == {"text": "hello"}
    first, second = (received.headers for received in endpoint.requests)
    assert first["webhook-id"] == second["webhook-id"] == "task"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60


def test_several_secrets_sign_each_so_that_one_can_follow_another() -> None:
    received = sent(secrets=[KEY, KEY[::-1]])
    assert received.headers["webhook-signature"].count("v1,") == 2
    for key in (KEY, KEY[::-1]):
        assert standardwebhooks.Webhook(key).verify(received.body, received.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(b"another".ljust(32)).verify(received.body, received.headers)


def test_without_a_body_the_signature_is_of_an_empty_one() -> None:
    received = sent(method="GET", secrets=[KEY])
    standardwebhooks.Webhook(KEY).verify(b"", received.headers, json_parse=False)


def test_a_changed_body_does_not_verify() -> None:
    received = sent(secrets=[KEY])
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(KEY).verify(received.body + b" ", received.headers)


# The address in the data


def test_the_data_may_say_where_it_goes_and_does_not_take_that_along() -> None:
    with Endpoint() as endpoint:
        action = webhook("http://127.0.0.1:1/", url_in_data=True)
        action.run(a_call(f'{{"url":"{endpoint.url("/there")}", "text":"hello"}}'))
    received = endpoint.requests[0]
    assert (received.target, received.body) == ("/there", b'{"text":"hello"}')


def test_headers_of_the_settings_go_only_where_these_say_though_the_signature_goes_along() -> None:
    """They may be credentials, and whoever publishes says where the data goes."""
    with Endpoint() as home, Endpoint() as elsewhere:
        action = webhook(home.url("/"), url_in_data=True, headers={"X-Key": "abc"}, secrets=[KEY])
        for endpoint in (home, elsewhere):
            action.run(a_call(f'{{"url":"{endpoint.url("/there")}"}}'))
    assert home.requests[0].headers["x-key"] == "abc"
    assert "x-key" not in elsewhere.requests[0].headers
    assert "webhook-signature" in elsewhere.requests[0].headers


def test_it_goes_into_no_query_either() -> None:
    with Endpoint() as endpoint:
        action = webhook("http://127.0.0.1:1/", url_in_data=True, method="GET")
        action.run(a_call(f'{{"url":"{endpoint.url("/there?a=1")}", "text":"hello"}}'))
    assert endpoint.requests[0].target == "/there?a=1&text=hello"


def test_data_that_does_not_say_where_it_goes_is_sent_as_it_is_stored() -> None:
    assert sent('{ "text": "hello" }', "/x", url_in_data=True).body == b'{ "text": "hello" }'


def test_a_url_that_means_nothing_is_data_like_any_other() -> None:
    data = '{ "url": "elsewhere" }'
    webhook("http://127.0.0.1").check(data)
    assert sent(data).body == data.encode()
    assert query_of(sent(data, method="GET")) == [("url", "elsewhere")]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://127.0.0.1:8080/x?y=z#w",
        "HTTP://EXAMPLE.com",
        "http://[::1]/",
        "https://user:password@müller.example/ü",
        "http://2130706433/",
    ],
)
def test_an_address_in_the_data_is_accepted(url: str) -> None:
    webhook("http://a", url_in_data=True).check(orjson.dumps({"url": url}).decode())


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        ["http://example.com"],
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://example.com:0",
        "http://example.com:65536",
        "http://example.com:http",
        "http://[::1",
        "http://exa\nmple.com",
        "http://example.com/\r\nX-Header: 1",
        " http://example.com",
        "http://exam ple.com",
        "javascript:alert(1)",
    ],
)
def test_anything_else_is_not(url: object) -> None:
    action = webhook("http://a", url_in_data=True)
    data = orjson.dumps({"url": url}).decode()
    with pytest.raises(InvalidDataError) as error:
        action.check(data)
    assert error.value.member == "data.url"
    assert error.value.problem == (
        f"must be an address that begins with http:// or https://, not {orjson.dumps(url).decode()}"
    )
    with pytest.raises(Reject, match=r"^data\.url: must be an address"):
        action.run(a_call(data))


def test_of_a_long_value_the_beginning_is_shown() -> None:
    data = orjson.dumps({"url": "x" * 1000}).decode()
    with pytest.raises(InvalidDataError) as error:
        webhook("http://a", url_in_data=True).check(data)
    assert error.value.problem.endswith(f', not "{"x" * 59}…')


def test_without_a_url_any_data_is_accepted() -> None:
    webhook("http://a", url_in_data=True).check('{"text":1}')
    webhook("http://a").check('{"url":1}')


# What the answers mean


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (answers(200, b' {"a": [1, 2]} '), '{"a": [1, 2]}'),
        (answers(201, b"7"), "7"),
        (answers(200, b"thanks\n", Content_Type="text/plain"), '"thanks"'),
        (answers(200, b""), "null"),
        (answers(200, b"\xff"), '"\N{REPLACEMENT CHARACTER}"'),
        (says(b"HTTP/1.1 204 No Content\r\n\r\n"), "null"),
        (says(b"HTTP/1.0 200 OK\r\n\r\ntrue"), "true"),
        (
            says(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"
            ),
            "[1]",
        ),
        (says(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"), "1"),
        (answers(200, b"1", Content_Encoding="identity"), "1"),
    ],
)
def test_a_good_answer_is_the_result(answer: Answer, result: str) -> None:
    assert answered(answer) == result


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 418, 422, 499, 600])
def test_an_answer_that_faults_the_request_rejects_the_task(status: int) -> None:
    with pytest.raises(Reject) as error:
        answered(answers(status, b"not like\n this\x00"))
    assert str(error.value) == f"http://{{}} answered {status}: not like this"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_an_answer_that_faults_the_server_fails_the_attempt(status: int) -> None:
    with pytest.raises(Ended) as error:
        answered(answers(status, b"<h1>Oops</h1>\r\n<p>" + "ü".encode() * 1000))
    failure = error.value.failure
    assert f" answered {status}: <h1>Oops</h1> <p>üü" in failure.error
    assert len(failure.error.partition(": ")[2]) == 200
    assert (failure.permanent, failure.traceback) == (False, None)


def test_an_error_that_says_nothing_else_is_told_by_its_status() -> None:
    with pytest.raises(Ended) as error:
        answered(answers(500))
    assert str(error.value) == "http://{} answered 500"


@pytest.mark.parametrize(
    "broken",
    [
        says(b"HTTP/1.1 404 No\r\nContent-Length: 100\r\n\r\nwhere?"),
        says(b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nwhere?\r\nnonsense"),
    ],
)
def test_the_status_of_an_error_counts_though_the_rest_is_broken_off(broken: Answer) -> None:
    with pytest.raises(Reject, match=r"answered 404: where\?$"):
        answered(broken)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("-5", 0),
        ("1.5", 2),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
        ("Tue Nov 14 22:14:20 2023", 60),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 0),
    ],
)
def test_a_server_that_says_when_to_ask_again_is_asked_then(
    status: int, text: str, seconds: int
) -> None:
    with pytest.raises(Ended) as error:
        answered(answers(status, b"busy", Retry_After=text), now=lambda: NOW)
    failure = error.value.failure
    assert (failure.retry_after, failure.backs_off) == (seconds, True)
    assert str(error.value) == f"{{}} answered {status}, to be asked again in {seconds} s"


@pytest.mark.parametrize(
    "text", ["", "soon", "1,000", "0x10", "nan", "1e3", "½", "Tue, 99 Nov 2023", "5, 5", "Tue, "]
)
def test_a_retry_after_that_means_nothing_is_ignored(text: str) -> None:
    assert retry_after_seconds(text, NOW) is None
    with pytest.raises(Ended, match="answered 503: busy"):
        answered(answers(503, b"busy", Retry_After=text))


def test_a_retry_after_without_end_is_bounded() -> None:
    assert retry_after_seconds("9" * 1000, NOW) == MAX_POSTPONE_SECONDS
    assert retry_after_seconds("Fri, 31 Dec 9999 23:59:59 GMT", NOW) == MAX_POSTPONE_SECONDS


def test_a_date_without_a_zone_is_in_utc_wherever_this_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as far_away:
        far_away.setenv("TZ", "JST-9")
        time.tzset()
        assert retry_after_seconds("Tue Nov 14 22:14:20 2023", NOW) == 60
    time.tzset()


def test_a_retry_after_of_any_other_answer_means_nothing() -> None:
    with pytest.raises(Reject):
        answered(answers(404, Retry_After="5"))
    with pytest.raises(Ended):
        answered(answers(500, Retry_After="5"))


# Answers without bounds


@pytest.mark.parametrize(
    "answer",
    [
        answers(200, b"x" * 1001),
        says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001),
    ],
)
def test_an_answer_that_is_too_long_is_not_kept(answer: Answer) -> None:
    assert delivered(answer, max_result_bytes=1000) == (
        "null",
        TOO_LONG.format(1000),
    )


def test_one_that_is_just_not_too_long_is_kept() -> None:
    assert len(answered(answers(200, b'"' + b"x" * 998 + b'"'), max_result_bytes=1000)) == 1000


def test_of_an_endless_answer_no_more_is_read_than_can_be_kept() -> None:
    with Endpoint(never_ends()) as endpoint:
        assert webhook(endpoint.url()).run(a_call()).result == "null"
        peer = endpoint.wait_for_connection()
    # And what the system buffered on the way.
    assert peer.sent_bytes < 32 << 20


@pytest.mark.parametrize(("status", "kind"), [(404, Reject), (500, Ended)])
def test_of_an_endless_error_the_beginning_is_read(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"answered {status}: {'x' * 200}$"):
        answered(never_ends(status))


def test_headers_without_end_are_an_error() -> None:
    with pytest.raises(Ended, match="gave no proper answer"):
        answered(says(b"HTTP/1.1 404 No\r\n" + b"X-Much: x\r\n" * 100_000))


def test_an_error_that_is_packed_all_the_same_is_told_by_its_status() -> None:
    with pytest.raises(Ended, match=r"answered 500$"):
        answered(answers(500, b"\x1f\x8b", Content_Encoding="gzip"))


# Delivered is delivered


@pytest.mark.parametrize(
    ("answer", "result", "note"),
    [
        (answers(200, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip"), '{"a": 1}', None),
        (answers(200, TWELVE + TWELVE, Content_Encoding="gzip"), "1212", None),
        (answers(200, TWELVE[:-1], Content_Encoding="gzip"), '"12"', BROKEN_OFF),
        (answers(200, TWELVE + b"34", Content_Encoding="gzip"), '"12"', BROKEN_OFF),
        (answers(204, Content_Encoding="gzip"), "null", None),
        (
            answers(200, b"\x1f\x8bno", Content_Encoding="gzip"),
            "null",
            "the answer was not kept: it is not the gzip that it says it is",
        ),
        (
            answers(201, gzip.compress(bytes(1 << 24)), Content_Encoding="x-gzip"),
            "null",
            TOO_LONG.format(100_000),
        ),
        (
            answers(200, b"?", Content_Encoding="br"),
            "null",
            "the answer was not kept: it is packed as br, which was not asked for",
        ),
        (
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthanks"),
            '"thanks"',
            BROKEN_OFF,
        ),
        (
            says(b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n7\r\nnonsense"),
            '"7"',
            BROKEN_OFF,
        ),
        (answers(200, b'{"a": NaN}'), '"{\\"a\\": NaN}"', None),
        (answers(200, b'\xef\xbb\xbf{"a": 1}'), '{"a": 1}', None),
        (answers(200, b"[" * 254 + b"]" * 254), "[" * 254 + "]" * 254, None),
        (answers(200, b"[" * 255 + b"]" * 255), f'"{"[" * 255}{"]" * 255}"', None),
        (
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx"),
            "null",
            UNREADABLE,
        ),
        (
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n7"),
            "null",
            UNREADABLE,
        ),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X-Much: x\r\n" * 100_000), "null", UNREADABLE),
        (says(b"HTTP/1.0 202 Accepted\r\nX-Bro"), "null", UNREADABLE),
        (says(HINTS * 2 + b"HTTP/1.1 200 OK\r\nX-Bro"), "null", UNREADABLE),
        (answers(204), "null", None),
    ],
)
def test_what_was_answered_with_2xx_is_delivered_whatever_else_the_answer_says(
    answer: Answer, result: str, note: str | None
) -> None:
    assert delivered(answer) == (result, note)


@pytest.mark.parametrize(
    ("answer", "result", "note"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthanks", '"thanks"', BROKEN_OFF),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", "null", UNREADABLE),
        (HINTS + b"HTTP/1.1 200", "null", UNREADABLE),
    ],
)
def test_so_is_what_was_answered_with_2xx_and_never_finished(
    answer: bytes, result: str, note: str
) -> None:
    with Endpoint(says_no_more(answer)) as endpoint:
        done = webhook(endpoint.url()).run(a_call_that_ends_after_what_is_sent(endpoint))
    assert done == (result, note)


def test_which_statuses_are_sent_again_can_be_set() -> None:
    retried = statuses(["409", "503", "3xx"])
    for status in (409, 503, 302):
        with pytest.raises(Ended):
            answered(answers(status), retried=retried)
    for status in (408, 429, 500):
        with pytest.raises(Reject):
            answered(answers(status, Retry_After="1"), retried=retried)


# Deadlines and cancels


@pytest.mark.parametrize(
    "answer",
    [
        says_no_more(),
        says_no_more(b"HTTP/1.1 500 No\r\nContent-Length: 10\r\n"),
        says_no_more(HINTS),
        trickles(b"HTTP/1.1 500 No\r\nX-Slow: "),
    ],
)
def test_a_server_that_does_not_finish_is_given_up_at_the_deadline(answer: Answer) -> None:
    with Endpoint(answer) as endpoint:
        call = a_call(timeout_seconds=0.3)
        with pytest.raises(TimedOut, match=r"^timed out after 0\.3 s$"):
            webhook(endpoint.url()).run(call)
        assert -3 < call.remaining_seconds <= 0


@pytest.mark.parametrize("finish", [says_no_more, trickles])
def test_the_status_of_an_error_counts_though_the_rest_never_ends(
    finish: Callable[[bytes], Answer],
) -> None:
    for status, error in ((400, Reject), (500, Ended)):
        head = f"HTTP/1.1 {status} No\r\nContent-Length: 1000000\r\n\r\nno".encode()
        with Endpoint(finish(head)) as endpoint, pytest.raises(error, match=f"{status}: no"):
            webhook(endpoint.url()).run(a_call_that_ends_after_what_is_sent(endpoint))


def test_so_is_one_that_does_not_shake_hands(trusting: ssl.SSLContext) -> None:
    with Endpoint(welcome=is_silent) as endpoint, pytest.raises(TimedOut):
        webhook(f"https://127.0.0.1:{endpoint.port}", ssl_context=trusting).run(
            a_call(timeout_seconds=0.3)
        )


def test_so_is_one_that_takes_no_connection() -> None:
    with full_listener() as port, pytest.raises(TimedOut):
        webhook(f"http://127.0.0.1:{port}").run(a_call(timeout_seconds=0.3))


def test_a_task_that_is_over_before_it_begins_sends_nothing() -> None:
    with Endpoint() as endpoint:
        with pytest.raises(TimedOut):
            webhook(endpoint.url()).run(a_call(timeout_seconds=1e-9))
        assert not endpoint.requests


def assert_a_cancel_ends(action: HttpAction, call: Call, begun: Callable[[], object]) -> None:
    """Run it, cancel it once it has begun and waits, and see it end with that, at once."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(action.run, call)
        begun()
        assert not wait([future], 0.2).done
        call.slot.stop = call.claimed.lease
        cancelled_at = monotonic()
        assert isinstance(future.exception(DEADLINE_SECONDS), Cancelled)
        assert monotonic() - cancelled_at < 3


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        says_no_more(),
        says_no_more(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"),
        trickles(b"HTTP/1.1 500 No\r\nX-Slow: "),
    ],
)
def test_a_cancel_ends_the_wait_for_an_answer(
    answer: Answer, *, encrypted: bool, server_context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Endpoint(answer, context=server_context if encrypted else None) as endpoint:
        action = webhook(endpoint.url(), ssl_context=trusting)
        assert_a_cancel_ends(action, a_call(), endpoint.wait_for_request)


def test_a_cancel_ends_the_sending() -> None:
    call = a_call(orjson.dumps({"text": "x" * (32 << 20)}).decode())
    with Endpoint(welcome=is_deaf) as endpoint:
        assert_a_cancel_ends(webhook(endpoint.url()), call, endpoint.wait_for_connection)


def test_a_cancel_ends_a_handshake(trusting: ssl.SSLContext) -> None:
    with Endpoint(welcome=is_silent) as endpoint:
        action = webhook(f"https://127.0.0.1:{endpoint.port}", ssl_context=trusting)
        assert_a_cancel_ends(action, a_call(), endpoint.wait_for_connection)


def test_a_cancel_ends_a_connect() -> None:
    found = threading.Event()

    def resolve(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as `getaddrinfo`
        found.set()
        return leads_to("127.0.0.1")(*args, **kwargs)

    with full_listener() as port:
        action = webhook(f"http://slow.example:{port}", resolve=resolve)
        assert_a_cancel_ends(action, a_call(), lambda: found.wait(DEADLINE_SECONDS))


def test_a_cancel_of_another_task_ends_nothing() -> None:
    call = a_call()
    call.slot.stop = Lease("another", 1)
    with Endpoint() as endpoint:
        assert webhook(endpoint.url()).run(call).result == "null"


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_unless_that_is_asked_for(status: int) -> None:
    with pytest.raises(Reject) as error:
        answered(redirects("https://user:hunter2@login.example/sign-in?next=1", status))
    assert str(error.value) == (
        f"http://{{}} answered {status} and leads to https://login.example/sign-in, not followed"
    )


def test_where_it_leads_is_told_without_the_path_that_was_asked_for() -> None:
    with Endpoint(redirects("https://new.example/services/s3cr3t-token/?a=b", 301)) as endpoint:
        with pytest.raises(Reject) as error:
            webhook(endpoint.url("/services/s3cr3t-token?key=hunter2")).run(a_call())
        assert str(error.value) == (
            f"http://127.0.0.1:{endpoint.port} answered 301 "
            "and leads to https://new.example/…, not followed"
        )


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("answer", [answers(304), answers(302), answers(300)])
def test_a_redirect_that_leads_nowhere_is_rejected(answer: Answer, *, follow: bool) -> None:
    with pytest.raises(Reject, match=r"http://\{\} answered 30[024]$"):
        answered(answer, follow_redirects=follow)


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("location", ["ftp://a/", "http://[::1", "mailto:me", "http://a:99999/"])
def test_one_that_leads_to_no_address_is_rejected(location: str, *, follow: bool) -> None:
    with pytest.raises(Reject, match="leads to no address"):
        answered(redirects(location), follow_redirects=follow)


@pytest.mark.parametrize(
    ("status", "method"),
    [(302, "PUT"), (307, "POST"), (308, "PATCH"), (307, "DELETE"), (303, "GET"), (301, "GET")],
)
def test_a_redirect_to_the_same_origin_keeps_all(status: int, method: str) -> None:
    answer = in_turn(redirects("/new?a=1&text=hello", status), answers(200, b"7"))
    with Endpoint(answer) as endpoint:
        action = webhook(
            endpoint.url("/old", user="me:hunter2@"),
            method=method,
            headers={"X-Key": "s3cr3t-token"},
            secrets=[KEY],
            follow_redirects=True,
        )
        assert action.run(a_call()).result == "7"
    first, second = endpoint.requests
    assert (second.method, second.target) == (method, "/new?a=1&text=hello")
    assert second.body == first.body
    assert second.headers["x-key"] == "s3cr3t-token"
    assert second.headers["authorization"] == first.headers["authorization"]
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert "content-type" in second.headers or not second.body
    standardwebhooks.Webhook(KEY).verify(second.body, second.headers, json_parse=False)


@pytest.mark.parametrize(
    ("status", "method", "location"),
    [
        (301, "POST", "/new"),
        (302, "POST", "/new"),
        (303, "POST", "/new"),
        (303, "PUT", "/new"),
        (303, "DELETE", "/new?text=hello"),
        (307, "DELETE", "/new"),
        (302, "GET", "/sign-in?next=text"),
    ],
)
def test_a_redirect_that_would_lose_the_data_is_rejected(
    status: int, method: str, location: str
) -> None:
    with pytest.raises(
        Reject, match=f"answered {status} and leads to .*/(new|sign-in), but the da"
    ):
        answered(redirects(location, status), method=method, follow_redirects=True)


@pytest.mark.parametrize("user", ["", "you:too@"])
def test_the_user_in_a_redirect_is_ignored(user: str) -> None:
    with Endpoint() as endpoint:
        location = endpoint.url("/new", user=user)
        endpoint._answer = in_turn(redirects(location, 308), answers(200))
        webhook(endpoint.url(user="me:hunter2@"), follow_redirects=True).run(a_call())
    first, second = endpoint.requests
    assert second.headers["authorization"] == first.headers["authorization"]


def test_another_origin_gets_the_data_but_no_credentials() -> None:
    with (
        Endpoint() as other,
        Endpoint(redirects(other.url("/x", user="you:too@"), 307)) as endpoint,
    ):
        webhook(
            endpoint.url("/", user="me:hunter2@"),
            headers={"X-Key": "s3cr3t-token", "Host": "configured.example", "Cookie": "a=b"},
            secrets=[KEY],
            follow_redirects=True,
        ).run(a_call())
    received = other.requests[0]
    assert received.body == b'{"text":"hello"}'
    assert received.headers["host"] == f"127.0.0.1:{other.port}"
    assert received.headers.keys() == {
        "host",
        "user-agent",
        "accept-encoding",
        "connection",
        "content-type",
        "content-length",
        "webhook-id",
        "webhook-timestamp",
    }


def test_they_stay_away_when_it_leads_back() -> None:
    with Endpoint() as other:
        answer = in_turn(redirects(other.url(), 307), redirects("/there", 307), answers(200))
        with Endpoint(answer) as endpoint:
            other._answer = redirects(endpoint.url("/chosen-elsewhere"), 307)
            action = webhook(
                endpoint.url(), headers={"X-Key": "s3cr3t-token"}, follow_redirects=True
            )
            action.run(a_call())
    first, *later = endpoint.requests
    assert "x-key" in first.headers
    assert [received.target for received in later] == ["/chosen-elsewhere", "/there"]
    assert not any("x-key" in received.headers for received in later)


def test_another_scheme_is_another_origin(
    server_context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with (
        Endpoint() as plain,
        Endpoint(redirects(plain.url(), 307), context=server_context) as endpoint,
    ):
        webhook(
            endpoint.url(),
            headers={"X-Key": "s3cr3t-token"},
            follow_redirects=True,
            ssl_context=trusting,
        ).run(a_call())
    assert "x-key" in endpoint.requests[0].headers
    assert "x-key" not in plain.requests[0].headers


def test_a_redirect_to_an_address_that_is_not_allowed_is_rejected() -> None:
    with Endpoint(host="127.0.0.2") as private:
        with (
            Endpoint(redirects(private.url("/latest/meta-data"), 307)) as endpoint,
            pytest.raises(Reject, match=r"leads to 127\.0\.0\.2, which is not a public address"),
        ):
            webhook(endpoint.url(), follow_redirects=True).run(a_call())
        assert not private.peers


def test_a_redirect_in_a_circle_ends() -> None:
    with Endpoint(redirects("/", 307)) as endpoint:
        with pytest.raises(Reject, match=r"redirects more than 5 times$"):
            webhook(endpoint.url(), follow_redirects=True).run(a_call())
        assert len(endpoint.requests) == 6


# What goes wrong on the way


@pytest.mark.parametrize(
    "url", ["http://2130706433", "http://0x7f.1", "http://[::ffff:127.0.0.1]", "http://127.0.0.1"]
)
def test_an_address_that_is_not_public_is_rejected(url: str) -> None:
    with pytest.raises(Reject) as error:
        webhook(f"{url}/s3cr3t-token", allow_networks=[]).run(a_call())
    assert str(error.value) in {
        f"{url}:80 leads to {address}, which is not a public address; "
        "actions.notify.allow_networks can allow it"
        for address in ("127.0.0.1", "::ffff:127.0.0.1")
    }


def test_so_is_a_name_that_leads_to_one() -> None:
    with pytest.raises(Reject, match=r"^https://internal:8443 leads to 10\.0\.0\.5, which is not"):
        webhook("https://internal:8443/", resolve=leads_to("10.0.0.5")).run(a_call())


def test_a_name_may_lead_to_an_address_that_is_allowed() -> None:
    with Endpoint() as endpoint:
        action = webhook(endpoint.url(host="internal"), resolve=leads_to("127.0.0.1"))
        action.run(a_call())
        assert endpoint.requests[0].headers["host"] == f"internal:{endpoint.port}"


def test_a_closed_port_fails_the_attempt() -> None:
    with refusing_port() as port, pytest.raises(Ended) as error:
        webhook(f"http://me:hunter2@127.0.0.1:{port}/s3cr3t-token").run(a_call())
    text = f"http://127.0.0.1:{port} cannot be reached: Connection refused"
    assert str(error.value) == error.value.failure.error == text
    assert not error.value.failure.permanent


def test_a_name_that_is_not_known_fails_the_attempt() -> None:
    with pytest.raises(Ended) as error:
        webhook("https://nowhere.example/x", resolve=no_such_name).run(a_call())
    assert str(error.value) == (
        "https://nowhere.example:443 cannot be found: Name or service not known"
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says(b""), "http://{} gave no proper answer: Server disconnected without"),
        (says(b"SSH-2.0-OpenSSH\r\n\r\n"), "http://{} gave no proper answer: illegal status line"),
        (says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "http://{} "),
        (lambda _, peer: peer.reset(), "http://{} broke the connection: Connection reset by peer"),
    ],
)
def test_an_answer_that_is_none_fails_the_attempt(answer: Answer, text: str) -> None:
    with pytest.raises(Ended) as error:
        answered(answer)
    assert str(error.value).startswith(text)


def test_an_answer_that_comes_before_all_was_sent_counts() -> None:
    def refuses(peer: Peer) -> None:
        peer.receive()
        peer.send(b"HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\n\r\ntoo much")
        peer.wait_until_gone()

    data = orjson.dumps({"text": "x" * (8 << 20)}).decode()
    with Endpoint(welcome=refuses) as endpoint, pytest.raises(Reject, match="413: too much"):
        webhook(endpoint.url()).run(a_call(data))


def test_a_trusted_certificate_will_do(
    server_context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Endpoint(answers(200, b"1"), context=server_context) as endpoint:
        action = webhook(endpoint.url(), ssl_context=trusting, secrets=[KEY])
        assert action.run(a_call()).result == "1"
        standardwebhooks.Webhook(KEY).verify(
            endpoint.requests[0].body, endpoint.requests[0].headers
        )


def test_any_other_certificate_fails_the_attempt(server_context: ssl.SSLContext) -> None:
    with Endpoint(context=server_context) as endpoint, pytest.raises(Ended) as error:
        webhook(endpoint.url()).run(a_call())
    assert str(error.value).startswith(
        f"https://127.0.0.1:{endpoint.port} has a certificate that does not verify: "
    )
    assert not endpoint.requests


@pytest.mark.usefixtures("fresh_default")
def test_the_environment_may_name_whom_to_trust(
    server_context: ssl.SSLContext,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Endpoint(context=server_context) as endpoint:
        assert webhook(endpoint.url()).run(a_call()).result == "null"


@pytest.mark.usefixtures("fresh_default")
def test_if_that_cannot_be_read_nothing_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with Endpoint(welcome=is_silent) as endpoint:
        with pytest.raises(FileNotFoundError):
            webhook(f"https://127.0.0.1:{endpoint.port}").run(a_call())
        assert not endpoint.peers


def test_whom_to_trust_is_found_out_once() -> None:
    assert default_ssl_context() is default_ssl_context()


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint() as proxy, Endpoint(answers(200, b"1")) as endpoint:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.lower(), proxy.url())
        assert webhook(endpoint.url()).run(a_call()).result == "1"
        assert not proxy.peers


@pytest.mark.parametrize(
    "answer",
    [
        answers(400, b"bad"),
        answers(500, b"bad"),
        answers(503, Retry_After="1"),
        answers(302, Location="/services/s3cr3t-token"),
        never_ends(500),
        says(b""),
        says(b"nonsense\r\n\r\n"),
        lambda _, peer: peer.reset(),
    ],
)
def test_no_error_tells_a_secret(answer: Answer) -> None:
    with Endpoint(answer) as endpoint:
        assert_no_secrets(endpoint.url("/services/s3cr3t-token?key=hunter2", user="me:hunter2@"))


@pytest.mark.parametrize("host", ["127.0.0.2", "nowhere.example", "127.0.0.1:1"])
def test_no_error_on_the_way_tells_one_either(host: str) -> None:
    assert_no_secrets(f"http://me:hunter2@{host}/s3cr3t-token?key=hunter2")
    assert_no_secrets(f"https://me:hunter2@{host}/s3cr3t-token?key=hunter2")


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    with Endpoint() as endpoint:
        assert_no_secrets(endpoint.url(), headers={"Authorization": "Bearer hunter2\n"})


def assert_no_secrets(url: str, **changes: Any) -> None:  # noqa: ANN401
    headers = {"Authorization": "Bearer hunter2", "X-Key": "s3cr3t-token"}
    resolve = socket.getaddrinfo if "127." in url else no_such_name
    action = webhook(url, **({"headers": headers, "secrets": [KEY], "resolve": resolve} | changes))
    with pytest.raises((Reject, Ended)) as error:
        action.run(a_call())
    failure = failure_of(error.value, None, asked_to_stop=False)
    for secret in SECRETS:
        assert secret not in failure.error
        assert secret not in (failure.traceback or "")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_no_run_leaves_a_descriptor_open(
    server_context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    gc.collect()  # what former tests have left may hold descriptors
    before = open_descriptors()
    each = [answers(200), answers(500), redirects("/x", 307), never_ends(), says(b"")]
    for context in (None, server_context):
        with Endpoint(in_turn(*each * 5), context=context) as endpoint:
            action = webhook(endpoint.url(), ssl_context=trusting, follow_redirects=True)
            for _ in range(20):
                with suppress(Reject, Ended):
                    action.run(a_call())
            assert len(endpoint.requests) == 25
        with Endpoint(welcome=is_silent, context=context) as endpoint:
            action = webhook(endpoint.url(), ssl_context=trusting)
            for _ in range(5):
                with suppress(TimedOut):
                    action.run(a_call(timeout_seconds=0.01))
    assert open_descriptors() == before
