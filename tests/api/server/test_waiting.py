"""Connections that wait leave the loop alone, and are seen to when time or client has gone."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from task_queue.actors.messages.reply import Reply
from task_queue.api.responses.late import Wait
from task_queue.api.server import waiting as module
from task_queue.api.server.waiting import Waiting
from tests.api.answers import reset

NOW = 100.0


class Fake:
    """A connection with a client, in the maps of its loop."""

    gives_way = False
    holds = True

    def __init__(self) -> None:
        here, there = socket.socketpair()
        with here, there:
            pass
        listener = socket.create_server(("127.0.0.1", 0))
        with listener:
            self.client = socket.create_connection(listener.getsockname())
            self._socket, _ = listener.accept()

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def handle_close(self) -> None:
        self._socket.close()


class Loop:
    """Two maps, and the waiting beside them."""

    def __init__(self, *fakes: Fake) -> None:
        self.map = {fake.descriptor: fake for fake in fakes}
        self.channels = dict(self.map)
        self.waiting = Waiting(self.map, self.channels)  # type: ignore[arg-type] # of fakes

    def park(self, fake: Fake, until: float = NOW + 5, *, stops: bool = True) -> Reply[str]:
        reply = Reply[str]()
        self.waiting.enter(fake, Wait(until, lambda: reply.answer("ended"), stops=stops))
        self.waiting.move()
        return reply


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    made = [Fake() for _ in range(3)]
    yield made
    for fake in made:
        fake.handle_close()
        with suppress(OSError):
            fake.client.close()


def test_a_connection_that_waits_is_in_no_map_until_it_comes_back(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0])
    assert (len(loop.map), len(loop.channels), len(loop.waiting)) == (2, 2, 1)
    loop.waiting.look(NOW)
    assert not reply.is_done
    loop.waiting.leave(fakes[0])
    loop.waiting.move()
    assert loop.map == loop.channels == {fake.descriptor: fake for fake in fakes}
    assert len(loop.waiting) == 0
    fakes[0].client.close()
    loop.waiting.look(NOW)  # nobody looks at its client here any more
    assert fakes[0].descriptor >= 0


def test_moves_are_made_in_their_order(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    first, second = Reply[str](), Reply[str]()
    loop.waiting.enter(fakes[0], Wait(NOW + 1, lambda: first.answer("ended")))
    loop.waiting.leave(fakes[0])
    loop.waiting.enter(fakes[0], Wait(NOW + 1, lambda: second.answer("ended")))
    loop.waiting.move()
    assert len(loop.waiting) == 1
    loop.waiting.look(NOW + 1)
    assert (first.is_done, second.is_done) == (False, True)


def test_a_wait_ends_at_its_moment_and_not_before(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0], NOW + 5)
    loop.waiting.look(NOW + 4.99)
    assert not reply.is_done
    loop.waiting.look(NOW + 5)
    assert reply.outcome() == "ended"
    loop.waiting.look(NOW + 6)  # again, until it is fetched
    assert fakes[0].descriptor >= 0


def test_a_wait_ends_when_its_key_does_not_hold_any_more(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0], NOW + 5)
    loop.waiting.look(NOW)
    assert not reply.is_done
    fakes[0].holds = False
    loop.waiting.look(NOW)
    assert reply.outcome() == "ended"


@pytest.mark.skipif(not module._GOES, reason="the kernel does not say it")
@pytest.mark.parametrize("unread", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_client_that_closes_its_side_frees_its_place(fakes: list[Fake], unread: bytes) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0])
    fakes[0].client.sendall(unread)
    fakes[0].client.shutdown(socket.SHUT_WR)
    loop.waiting.look(NOW)
    assert reply.outcome() == "ended"
    assert (fakes[0].descriptor, len(loop.waiting)) == (-1, 0)
    loop.waiting.leave(fakes[0])  # as whoever fetches the answer then does
    loop.waiting.move()
    assert len(loop.map) == 2


def test_a_client_that_breaks_off_frees_its_place(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0], stops=False)
    reset(fakes[0].client)
    loop.waiting.look(NOW)
    assert reply.is_done
    assert fakes[0].descriptor == -1


def test_a_client_that_has_said_all_may_listen_where_it_did_not_wish_to_wait(
    fakes: list[Fake],
) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0], stops=False)
    fakes[0].client.shutdown(socket.SHUT_WR)
    loop.waiting.look(NOW)
    assert not reply.is_done


def test_a_client_that_sends_more_meanwhile_has_not_gone(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    reply = loop.park(fakes[0])
    fakes[0].client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    loop.waiting.look(NOW)
    assert not reply.is_done


def test_a_connection_that_is_closed_does_not_begin_to_wait(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    fakes[0].handle_close()
    assert loop.park(fakes[0]).is_done
    assert len(loop.waiting) == 0


def test_a_stop_ends_what_waits_by_wish_and_what_begins_to(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    by_wish, needed = loop.park(fakes[0]), loop.park(fakes[1], stops=False)
    loop.waiting.stop()
    assert (by_wish.is_done, needed.is_done) == (True, False)
    assert loop.park(fakes[2]).is_done


def test_the_first_to_wait_give_their_places_to_others(fakes: list[Fake]) -> None:
    loop = Loop(*fakes)
    replies = [loop.park(fakes[0]), loop.park(fakes[1], stops=False), loop.park(fakes[2])]
    loop.waiting.make_room(0)
    assert [reply.is_done for reply in replies] == [False, False, False]
    loop.waiting.make_room(2)
    assert [reply.is_done for reply in replies] == [True, False, False]
    assert [fake.gives_way for fake in fakes] == [True, False, False]
