"""Which `Host` headers name this server."""

import pytest

from task_queue.api.hosts import MAX_VERDICTS, Hosts

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound
LOOPBACK = ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.8.9.10", "[::1]"]
MAPPED = ["[::ffff:127.0.0.1]"]
FOREIGN = ["evil.example", "localhost.evil.example", "evil.localhost", "web1.evil.example"]
NO_HOSTS = ["", " ", ":8080", "localhost:x", "localhost:80:80", "a b", "[localhost]", "[::1", "::1"]
NO_HOSTS += ["localhost,localhost", "user@localhost", "http://localhost", "localhost/", "é", "*"]


def knows(hosts: Hosts, host: str) -> bool:
    with_ports = {hosts.know(host), hosts.know(f"{host}:8080"), hosts.know(f"{host}:")}
    assert len(with_ports) == 1
    return with_ports.pop()


@pytest.mark.parametrize("host", [*LOOPBACK, *MAPPED])
@pytest.mark.parametrize("listens_on", ["127.0.0.1", EVERYWHERE, "::", "web1.example"])
def test_loopback_is_always_known(host: str, listens_on: str) -> None:
    assert knows(Hosts([listens_on], (), "web1"), host)


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("listens_on", ["127.0.0.1", EVERYWHERE, "::", "localhost"])
def test_a_name_of_somebody_else_is_not(host: str, listens_on: str) -> None:
    assert not knows(Hosts([listens_on], (), "web1"), host)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_not_known(host: str) -> None:
    assert not Hosts([EVERYWHERE], (), "web1").know(host)


@pytest.mark.parametrize("host", ["10.1.2.3", "[fd00::1]", "8.8.8.8", EVERYWHERE])
def test_every_address_is_known_if_it_listens_on_all(host: str) -> None:
    assert not knows(Hosts(["127.0.0.1"], (), "web1"), host)
    assert not knows(Hosts(["10.1.2.4"], (), "web1"), host)
    assert knows(Hosts([EVERYWHERE], (), "web1"), host)
    assert knows(Hosts(["::"], (), "web1"), host)


def test_the_machines_name_is_known_if_it_listens_on_all_addresses() -> None:
    assert knows(Hosts([EVERYWHERE], (), "Web1"), "web1")
    assert not knows(Hosts(["127.0.0.1"], (), "web1"), "web1")


@pytest.mark.parametrize(
    ("listens_on", "host"),
    [("web1.example", "WEB1.example."), ("10.1.2.3", "10.1.2.3"), ("fd00::1", "[fd00:0::1]")],
)
def test_what_it_listens_on_is_known(listens_on: str, host: str) -> None:
    assert knows(Hosts([listens_on], (), "web1"), host)


def test_what_a_name_stands_for_is_known() -> None:
    hosts = Hosts(["web1.example", "10.1.2.3"], (), "web1")
    assert knows(hosts, "web1.example")
    assert knows(hosts, "10.1.2.3")
    assert not knows(hosts, "10.1.2.4")
    assert knows(Hosts(["*", EVERYWHERE], (), "web1"), "10.1.2.4")


def test_names_and_addresses_that_are_allowed_are_known() -> None:
    hosts = Hosts(
        ["127.0.0.1"], ("Tasks.example", "10.1.2.3", "[fd00::1]", ".apps.example"), "web1"
    )
    for host in ("tasks.example", "10.1.2.3", "[fd00::0:1]", "a.apps.example", "a.b.apps.example."):
        assert knows(hosts, host)
    for host in ("x.tasks.example", "apps.example", "evilapps.example", "10.1.2.4", "[fd00::2]"):
        assert not knows(hosts, host)


def test_no_more_verdicts_are_kept_than_allowed() -> None:
    hosts = Hosts(["127.0.0.1"], (), "web1")
    for number in range(3 * MAX_VERDICTS):
        assert not hosts.know(f"evil{number}.example")
    assert hosts.know.cache_info().currsize == MAX_VERDICTS
