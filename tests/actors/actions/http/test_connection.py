import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from ipaddress import ip_network
from time import monotonic, thread_time
from typing import Any, TypeVar

import httpcore
import pytest
import trustme

from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http import lookup
from task_queue.actors.actions.http.connection import (
    AddressRefusedError,
    Connector,
    Stream,
)
from task_queue.actors.actions.http.networks import is_allowed
from task_queue.actors.errors import Cancelled, TimedOut
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.slot import Slot
from tests.endpoint import Endpoint, Peer, full_listener, is_deaf, is_silent, refusing_port
from tests.fakes import DEADLINE_SECONDS

LOOPBACK = (ip_network("127.0.0.1/32"), ip_network("::1/128"))
LOCAL = Connector(LOOPBACK)

T = TypeVar("T")


def a_call(timeout_seconds: float = DEADLINE_SECONDS) -> Call:
    return Call(ClaimedTask(Lease("task", 1), "notify", "{}", 1, 5), Slot("tasks"), timeout_seconds)


def end_soon(call: Call) -> None:
    """Let it have a short time, which begins now."""
    call.timeout_seconds = 0.3
    call.restart()


def cancel(call: Call) -> float:
    """When that was."""
    call.slot.stop = call.claimed.lease
    return monotonic()


def leads_to(*addresses: str) -> Callable[..., Any]:
    """A resolver for which every name has these addresses, in this order."""

    def resolve(_: str, port: int, *, type: int) -> list[Any]:  # noqa: A002 - its name there
        return [
            found
            for address in addresses
            for found in socket.getaddrinfo(address, port, type=type, flags=socket.AI_NUMERICHOST)
        ]

    return resolve


@contextmanager
def in_background(function: Callable[[], T]) -> Iterator[Future[T]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function)


def assert_cancelled(future: Future[Any], call: Call) -> None:
    """Cancel what runs, and see it end with that, at once."""
    assert not wait([future], 0.2).done
    cancelled_at = cancel(call)
    assert isinstance(future.exception(DEADLINE_SECONDS), Cancelled)
    assert monotonic() - cancelled_at < 3


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "good.example").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - an address like others
        "0.1.2.3",
        "10.0.0.5",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.5",
        "::ffff:a9fe:a9fe",
        "::ffff:0:8.8.8.8",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:0:5ef5:79fd:0:59d:f5ff:fff3",
        "2001:db8::1",
        "2001:10::1",
        "2001:20::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "localhost",
        "example.com",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1]",
        "",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "172.32.0.1",
        "169.253.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450::1%eth0",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.0.0.0/8", "10.0.0.5"),
        ("10.0.0.0/8", "::ffff:10.0.0.5"),
        ("10.0.0.0/8", "64:ff9b::10.0.0.5"),
        ("169.254.0.0/16", "169.254.169.254"),
        ("fd00::/8", "fd00::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("2002::/16", "2002:a00:5::"),
        ("64:ff9b:1::/48", "64:ff9b:1::10.0.0.5"),
        ("0.0.0.0/0", "127.0.0.1"),
        ("::/0", "::1"),
    ],
)
def test_a_network_that_is_allowed_lifts_that_for_its_addresses(network: str, address: str) -> None:
    assert is_allowed(address, [ip_network(network)])


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.0.0.0/8", "172.16.0.1"),
        ("10.0.0.0/8", "192.168.0.1"),
        ("10.0.0.0/8", "::ffff:192.168.0.1"),
        ("10.0.0.0/8", "2002:a00:5::"),
        ("10.0.0.0/8", "::10.0.0.5"),
        ("fd00::/8", "fe80::1"),
        ("::/0", "10.0.0.5"),
        ("0.0.0.0/0", "::1"),
    ],
)
def test_it_lifts_that_for_no_others(network: str, address: str) -> None:
    assert not is_allowed(address, [ip_network(network)])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_sent_and_read_goes_through(host: str) -> None:
    with (
        Endpoint(welcome=lambda peer: peer.send(peer.receive().upper()), host=host) as endpoint,
        closing(LOCAL.connect(host, endpoint.port, a_call())) as stream,
    ):
        stream.write(b"hello")
        assert stream.read(100) == b"HELLO"
        assert stream.read(100) == b""


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104 - an address like others
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_a_host_is_judged_by_where_it_leads_however_it_is_written(host: str, address: str) -> None:
    with Endpoint() as endpoint:
        with pytest.raises(AddressRefusedError) as refused:
            Connector().connect(host, endpoint.port, a_call())
        assert refused.value.address == address
    assert not endpoint.peers


@pytest.mark.parametrize("name", ["localhost", "localhost.", "internal"])
def test_a_name_that_leads_to_a_private_address_is_refused(name: str) -> None:
    connector = Connector(resolve=leads_to("10.0.0.5", "127.0.0.1"))
    with pytest.raises(AddressRefusedError, match=r"10\.0\.0\.5"):
        connector.connect(name, 80, a_call())


def test_a_name_that_leads_elsewhere_after_the_check_gains_nothing() -> None:
    answers = iter([leads_to("127.0.0.2"), leads_to("127.0.0.1")])

    def rebinding(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as a resolver's
        return next(answers)(*args, **kwargs)

    connector = Connector([ip_network("127.0.0.2/32")], rebinding)
    with Endpoint() as private:
        with pytest.raises(httpcore.ConnectError, match="refused"):
            connector.connect("rebinding.example", private.port, a_call())
        assert not private.peers
    assert len(list(answers)) == 1


def test_of_several_addresses_those_that_are_not_allowed_are_passed_over() -> None:
    connector = Connector([ip_network("127.0.0.2/32")], leads_to("127.0.0.1", "127.0.0.2"))
    with Endpoint() as private, pytest.raises(httpcore.ConnectError, match="refused"):
        connector.connect("mixed.example", private.port, a_call())
    assert not private.peers

    with Endpoint(host="127.0.0.2") as public:
        connector.connect("mixed.example", public.port, a_call()).close()
        public.wait_for_connection()


def test_a_dead_address_leaves_time_for_the_next() -> None:
    connector = Connector([ip_network("127.0.0.0/8")], leads_to("127.0.0.2", "127.0.0.1"), 0.2)
    with full_listener("127.0.0.2") as port:
        try:
            listener = socket.create_server(("127.0.0.1", port))
        except OSError:
            pytest.skip("the port is taken")
        with listener, closing(connector.connect("slow.example", port, a_call())):
            listener.settimeout(DEADLINE_SECONDS)
            listener.accept()[0].close()


def test_if_no_address_answers_the_error_says_so() -> None:
    connector = Connector(LOOPBACK, connect_seconds=0.2)
    with full_listener() as port, pytest.raises(httpcore.ConnectError) as error:
        connector.connect("127.0.0.1", port, a_call())
    assert str(error.value) == "cannot be reached: no answer within 0.2 s"


def test_a_closed_port_is_refused_by_the_system() -> None:
    with refusing_port() as port, pytest.raises(httpcore.ConnectError) as error:
        LOCAL.connect("127.0.0.1", port, a_call())
    assert str(error.value) == "cannot be reached: Connection refused"


def test_a_name_that_is_not_known_cannot_be_found() -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(httpcore.ConnectError) as error:
        Connector(resolve=resolve).connect("nowhere.example", 80, a_call())
    assert str(error.value) == "cannot be found: Name or service not known"


def test_a_look_up_that_hangs_is_waited_for_until_the_deadline_and_not_too_many_may_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookup, "MAX_HANGING", 2)
    name_server_is_back = threading.Event()

    def resolve(*_: object, **__: object) -> list[Any]:
        assert name_server_is_back.wait(DEADLINE_SECONDS)
        return []

    connector = Connector(LOOPBACK, resolve)
    try:
        with pytest.raises(TimedOut, match=r"0\.1 s"):
            connector.connect("slow.example", 80, a_call(0.1))
        call = a_call()
        with in_background(lambda: connector.connect("slow.example", 80, call)) as connecting:
            assert_cancelled(connecting, call)
        with pytest.raises(httpcore.ConnectError) as error:
            connector.connect("slow.example", 80, a_call())
        assert str(error.value) == "cannot be found: 2 look-ups of names hang already"
        with Endpoint() as endpoint:  # an address needs none
            LOCAL.connect("127.0.0.1", endpoint.port, a_call()).close()
    finally:
        name_server_is_back.set()
    for each in lookup._left:
        each.join(DEADLINE_SECONDS)
    with pytest.raises(httpcore.ConnectError, match="no address"):
        connector.connect("slow.example", 80, a_call())


@pytest.mark.parametrize("name", [f"{'a' * 64}.example", "a..example"])
def test_what_is_no_hosts_name_cannot_be_found(name: str) -> None:
    with pytest.raises(httpcore.ConnectError, match=r"cannot be found: not a host's name"):
        LOCAL.connect(name, 80, a_call())


def test_a_name_without_addresses_cannot_be_reached() -> None:
    with pytest.raises(httpcore.ConnectError, match="no address"):
        Connector(resolve=leads_to()).connect("empty.example", 80, a_call())


def test_the_deadline_ends_a_connect() -> None:
    with full_listener() as port, pytest.raises(TimedOut, match=r"0\.3 s"):
        LOCAL.connect("127.0.0.1", port, a_call(0.3))


def test_a_cancel_ends_a_connect() -> None:
    call = a_call()
    with full_listener() as port:
        connector = Connector(LOOPBACK, connect_seconds=DEADLINE_SECONDS)
        with in_background(lambda: connector.connect("127.0.0.1", port, call)) as future:
            assert_cancelled(future, call)


def test_the_deadline_ends_a_read() -> None:
    call = a_call()
    with (
        Endpoint(welcome=is_silent) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
    ):
        end_soon(call)
        with pytest.raises(TimedOut):
            stream.read(100)


def test_a_cancel_ends_even_a_read_that_does_not_have_to_wait() -> None:
    call = a_call()
    with (
        Endpoint(welcome=lambda peer: peer.send(b"ab")) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
    ):
        assert stream.read(1) == b"a"
        cancel(call)
        with pytest.raises(Cancelled):
            stream.read(1)


def test_a_cancel_ends_a_read() -> None:
    call = a_call()
    with (
        Endpoint(welcome=is_silent) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
        in_background(lambda: stream.read(100)) as future,
    ):
        assert_cancelled(future, call)


def test_a_cancel_ends_a_write() -> None:
    call = a_call()
    with (
        Endpoint(welcome=is_deaf) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
        in_background(lambda: stream.write(bytes(64 << 20))) as future,
    ):
        assert_cancelled(future, call)


def test_a_cancel_ends_a_handshake() -> None:
    call, greeted = a_call(), threading.Event()

    def welcome(peer: Peer) -> None:
        peer.receive()
        greeted.set()
        peer.wait_until_gone()

    def shake_hands(stream: Stream) -> Stream:
        return stream.start_tls(ssl.create_default_context(), "127.0.0.1")

    with (
        Endpoint(welcome=welcome) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
        in_background(lambda: shake_hands(stream)) as future,
    ):
        assert greeted.wait(DEADLINE_SECONDS)
        assert_cancelled(future, call)


def test_the_deadline_ends_a_handshake_that_until_then_costs_nothing() -> None:
    call, context = a_call(), ssl.create_default_context()
    with (
        Endpoint(welcome=is_silent) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
    ):
        end_soon(call)
        before = thread_time()
        with pytest.raises(TimedOut):
            stream.start_tls(context, "127.0.0.1")
        assert thread_time() - before < 0.1


def test_the_timeouts_of_single_operations_are_kept_too() -> None:
    call = a_call()
    with Endpoint(welcome=is_deaf) as endpoint:
        with closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream:
            with pytest.raises(httpcore.ReadTimeout):
                stream.read(100, timeout=0.1)
            with pytest.raises(httpcore.WriteTimeout):
                stream.write(bytes(64 << 20), timeout=0.1)
        with (
            closing(LOCAL.connect("127.0.0.1", endpoint.port, call)) as stream,
            pytest.raises(httpcore.ConnectTimeout),
        ):
            stream.start_tls(ssl.create_default_context(), "127.0.0.1", timeout=0.1)


def test_a_connection_that_is_reset_fails_with_the_systems_word_for_it() -> None:
    def resets(peer: Peer) -> None:
        peer.receive()
        peer.reset()

    with (
        Endpoint(welcome=resets) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, a_call())) as stream,
    ):
        stream.write(b"hello")
        with pytest.raises(httpcore.ReadError, match="broke the connection: Connection reset"):
            stream.read(100)
        with pytest.raises(httpcore.WriteError, match="broke the connection"):
            stream.write(bytes(64 << 20))


@pytest.mark.parametrize("name", ["127.0.0.1", "good.example", "good.example."])
def test_a_certificate_of_that_name_from_a_trusted_authority_will_do(
    name: str, server_context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    body = bytes(range(256)) * 4096
    with (
        Endpoint(context=server_context) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, a_call())) as plain,
        closing(plain.start_tls(trusting, name)) as stream,
    ):
        stream.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert stream.read(100).startswith(b"HTTP/1.1 200")
        assert endpoint.requests[0].body == body


def test_the_server_is_told_which_name_is_asked_for(
    server_context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    names: list[str] = []
    server_context.sni_callback = lambda _sock, name, _context: names.append(name)
    with (
        Endpoint(context=server_context) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, a_call())) as plain,
        closing(plain.start_tls(trusting, "good.example")),
    ):
        pass
    server_context.sni_callback = None
    assert names == ["good.example"]


@pytest.mark.parametrize(
    ("name", "trusts", "problem"),
    [
        ("127.0.0.1", False, "unable to get local issuer certificate|self.signed certificate"),
        ("evil.example", True, "Hostname mismatch"),
        ("127.0.0.2", True, "IP address mismatch"),
    ],
)
def test_any_other_certificate_does_not_verify(
    name: str,
    trusts: bool,  # noqa: FBT001 - a parameter of the test
    problem: str,
    server_context: ssl.SSLContext,
    trusting: ssl.SSLContext,
) -> None:
    context = trusting if trusts else ssl.create_default_context()
    with (
        Endpoint(context=server_context) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, a_call())) as stream,
        pytest.raises(httpcore.ConnectError, match=f"a certificate that does not.*({problem})"),
    ):
        stream.start_tls(context, name)
    assert not endpoint.requests


@pytest.mark.parametrize("name", [".example", ""])
def test_a_name_that_no_certificate_has_is_an_error_like_others(name: str) -> None:
    with (
        Endpoint(welcome=is_silent) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, a_call())) as stream,
        pytest.raises(httpcore.ConnectError, match="by TLS: not a host's name"),
    ):
        stream.start_tls(ssl.create_default_context(), name)


def test_a_server_without_tls_cannot_be_talked_to_by_it() -> None:
    with (
        Endpoint(welcome=lambda peer: peer.send(b"HTTP/1.1 400 No\r\n\r\n")) as endpoint,
        closing(LOCAL.connect("127.0.0.1", endpoint.port, a_call())) as stream,
        pytest.raises(httpcore.ConnectError, match="by TLS: wrong version number"),
    ):
        stream.start_tls(ssl.create_default_context(), "127.0.0.1")
