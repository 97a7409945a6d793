"""Who has logged in: cookies, the tokens of forms, and what was said."""

import pytest

from task_queue.actors.messages.reader import FindKey
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.keys import StoredKey
from task_queue.api.auth.caller import Caller
from task_queue.api.auth.keyring import Keyring, RefusedKeyError
from task_queue.api.auth.keys import hash_of
from task_queue.api.auth.scopes import Scope
from task_queue.api.auth.sessions import NOTE_SECONDS, Sessions
from tests.fakes import NOW, ManualClock

ID = "1" * 16
KEY = f"tq_{ID}_{'a' * 64}"
OWN = "a-key-of-the-settings-drawn-at-random"
LASTS = 600


class Desk:
    """Sessions, with keys that can be taken back."""

    def __init__(self, drawn: str = "of all nodes") -> None:
        self.now, self.monotonic = ManualClock(), ManualClock(1_000.0)
        self.stored: StoredKey | None = StoredKey(
            ID, "shop", hash_of(KEY), ("read",), None, int(NOW)
        )
        self.configured = {hash_of(OWN): Caller("own", None, frozenset({Scope.READ}))}
        ring = Keyring(self.configured, None, self._ask, now=self.now, monotonic=self.monotonic)
        self.sessions = Sessions(ring, lambda: drawn, LASTS, self.now)

    def _ask(self, question: FindKey) -> Reply[StoredKey | None]:
        question.reply_to.answer(self.stored)
        return question.reply_to

    def later(self, seconds: float) -> None:
        self.now.advance(seconds)
        self.monotonic.advance(seconds)


@pytest.mark.parametrize(("key", "name"), [(KEY, "shop"), (OWN, "own")])
def test_a_cookie_stands_for_a_key_and_does_not_hold_it(key: str, name: str) -> None:
    desk = Desk()
    cookie, caller = desk.sessions.begin(key)
    assert caller.name == name
    session = desk.sessions.find(cookie)
    assert session is not None
    assert session.caller == caller
    assert key not in cookie
    assert "a" * 64 not in cookie


def test_two_sessions_of_a_key_are_apart() -> None:
    desk = Desk()
    first, second = (desk.sessions.find(desk.sessions.begin(KEY)[0]) for _ in range(2))
    assert first is not None
    assert second is not None
    token = desk.sessions.token(first.id)
    assert desk.sessions.is_token(first.id, token)
    assert not desk.sessions.is_token(second.id, token)
    assert not desk.sessions.is_token(first.id, "ü")


def test_a_wrong_key_begins_nothing() -> None:
    with pytest.raises(RefusedKeyError, match="not known"):
        Desk().sessions.begin(KEY.replace("a", "b"))


def test_a_session_ends_after_its_time() -> None:
    desk = Desk()
    cookie, _ = desk.sessions.begin(KEY)
    desk.later(LASTS - 1)
    assert desk.sessions.find(cookie) is not None
    desk.later(1)
    assert desk.sessions.find(cookie) is None


def test_a_session_ends_when_its_key_is_taken_back() -> None:
    desk = Desk()
    cookies = [desk.sessions.begin(key)[0] for key in (KEY, OWN)]
    desk.stored = None
    desk.configured.clear()
    desk.later(5)
    assert [desk.sessions.find(cookie) for cookie in cookies] == [None, None]


def test_what_others_have_signed_or_changed_counts_for_nothing() -> None:
    desk, other = Desk(), Desk("of another service")
    cookie, _ = other.sessions.begin(KEY)
    own, _ = desk.sessions.begin(KEY)
    head, _, tail = own.partition(".")
    for forged in ("", "x", cookie, f"{head}x.{tail}", f"{own}x", "é"):
        assert desk.sessions.find(forged) is None
    # Nor does what was signed for something else.
    assert desk.sessions.find(desk.sessions.note("a", "b")) is None


def test_a_note_is_for_its_session_and_for_a_while() -> None:
    desk = Desk()
    note = desk.sessions.note("mine", "The queue is paused.")
    assert desk.sessions.noted("mine", note) == "The queue is paused."
    assert desk.sessions.noted("theirs", note) is None
    assert desk.sessions.noted("mine", "made up") is None
    desk.later(NOTE_SECONDS)
    assert desk.sessions.noted("mine", note) is None
