"""Which keys hold, as time goes by and the database answers, or does not."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from task_queue.actors.errors import (
    ActorUnavailableError,
    AnswerTimeoutError,
    TaskQueueError,
    UnavailableError,
)
from task_queue.actors.messages.reader import FindKey
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.keys import StoredKey
from task_queue.api.auth.caller import Caller
from task_queue.api.auth.keyring import (
    FRESH_SECONDS,
    MAX_REMEMBERED,
    SILENT_SECONDS,
    STALE_SECONDS,
    Keyring,
    RefusedKeyError,
)
from task_queue.api.auth.keys import hash_of
from task_queue.api.auth.keys_file import KeysFile
from task_queue.api.auth.scopes import Scope
from tests.fakes import DEADLINE_SECONDS, NOW, ManualClock

ID = "1" * 16
KEY = f"tq_{ID}_{'a' * 64}"
WRONG = f"tq_{ID}_{'b' * 64}"
OWN = "a-key-of-the-settings-drawn-at-random"
STORED = StoredKey(ID, "shop", hash_of(KEY), ("read",), None, int(NOW))


class Books:
    """A keyring beside a database that answers when it is told to."""

    def __init__(self, *, file: KeysFile | None = None, at_once: bool = True) -> None:
        self.keys: dict[str, StoredKey] = {ID: STORED}
        self.questions: list[FindKey] = []
        self.at_once = at_once
        self.error: TaskQueueError | None = None
        self.clock, self.now = ManualClock(1_000.0), ManualClock()
        settings = {hash_of(OWN): Caller("own", None, frozenset({Scope.PUBLISH}))}
        self.ring = Keyring(settings, file, self._ask, now=self.now, monotonic=self.clock)

    def _ask(self, question: FindKey) -> Reply[StoredKey | None]:
        self.questions.append(question)
        if self.at_once:
            self.answer(question)
        return question.reply_to

    def answer(self, question: FindKey) -> None:
        if self.error is not None:
            question.abandon(self.error)
        else:
            question.reply_to.answer(self.keys.get(question.key_id))

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.now.advance(seconds)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(RefusedKeyError) as error:
        call()
    return str(error.value)


def test_a_key_is_asked_for_once_while_it_is_fresh() -> None:
    books = Books()
    for _ in range(5):
        assert books.ring.judge(KEY).name == "shop"
    books.pass_by(FRESH_SECONDS - 0.01)
    books.ring.judge(KEY)
    assert len(books.questions) == 1


def test_a_header_is_taken_as_it_is_as_long_as_the_answer_is_fresh() -> None:
    books = Books()
    assert books.ring.recent(f"Bearer {KEY}") is None
    books.ring.judge(KEY, f"Bearer {KEY}")
    books.pass_by(FRESH_SECONDS - 0.01)
    judged = books.ring.recent(f"Bearer {KEY}")
    assert judged is not None
    assert judged.caller.name == "shop"
    assert judged.holds()
    books.pass_by(0.01)
    assert books.ring.recent(f"Bearer {KEY}") is None


def test_a_header_whose_key_has_an_end_is_judged_each_time() -> None:
    books = Books()
    books.keys[ID] = replace(STORED, expires_at=NOW + 1)
    books.ring.judge(KEY, f"Bearer {KEY}")
    assert books.ring.recent(f"Bearer {KEY}") is None


def test_an_older_answer_is_used_while_the_next_is_under_way() -> None:
    books = Books()
    books.ring.judge(KEY)
    books.at_once = False
    books.pass_by(FRESH_SECONDS)
    for _ in range(5):
        assert books.ring.judge(KEY).name == "shop"
    assert len(books.questions) == 2
    books.keys[ID] = replace(STORED, revoked_at=NOW)
    books.answer(books.questions[-1])
    assert refused(lambda: books.ring.judge(KEY)) == "the key shop is revoked"


def test_a_stale_answer_is_waited_for() -> None:
    books = Books()
    books.ring.judge(KEY)
    books.pass_by(STALE_SECONDS)
    books.keys[ID] = replace(STORED, revoked_at=NOW)
    assert refused(lambda: books.ring.judge(KEY)) == "the key shop is revoked"


def test_what_is_revoked_is_refused_within_five_seconds() -> None:
    assert STALE_SECONDS < 5
    books = Books()
    books.ring.judge(KEY)
    books.keys[ID] = replace(STORED, revoked_at=books.now.now)
    books.at_once = False  # and the database does not answer any more
    while books.now.now < NOW + STALE_SECONDS:
        books.ring.judge(KEY)
        books.pass_by(0.5)
    with pytest.raises(UnavailableError):
        books.ring.judge(KEY)


def test_whether_a_key_still_holds_is_known_without_waiting_for_the_database() -> None:
    books = Books()
    books.ring.judge(KEY)
    books.keys[ID] = replace(STORED, revoked_at=NOW)
    assert books.ring.holds(KEY)
    assert len(books.questions) == 1
    books.at_once = False
    books.pass_by(STALE_SECONDS)
    assert books.ring.holds(KEY)  # as far as is known
    books.answer(books.questions[-1])
    assert not books.ring.holds(KEY)
    assert books.ring.holds(OWN)
    assert not books.ring.holds("a-key-that-was-taken-out-of-the-file")


def test_an_expired_key_is_refused_at_its_moment_without_a_question() -> None:
    books = Books()
    books.keys[ID] = replace(STORED, expires_at=NOW + 1)
    books.ring.judge(KEY)
    books.pass_by(1.0)
    assert refused(lambda: books.ring.judge(KEY)) == "the key shop is expired"
    assert len(books.questions) == 1


def test_only_who_has_the_whole_key_learns_that_it_is_revoked() -> None:
    books = Books()
    books.keys[ID] = replace(STORED, revoked_at=NOW, expires_at=NOW)
    assert refused(lambda: books.ring.judge(WRONG)) == "the key is not known"
    assert refused(lambda: books.ring.judge(KEY)) == "the key shop is revoked"


def test_what_is_unknown_is_remembered_too_and_a_new_key_holds_soon() -> None:
    books = Books()
    del books.keys[ID]
    for _ in range(3):
        assert refused(lambda: books.ring.judge(KEY)) == "the key is not known"
    assert len(books.questions) == 1
    books.keys[ID] = STORED
    books.pass_by(FRESH_SECONDS)
    assert books.ring.judge(KEY).name == "shop"


def test_what_has_not_the_form_of_a_key_costs_no_question() -> None:
    books = Books()
    for key in ("x", "tq_x", KEY[:-1]):
        assert refused(lambda key=key: books.ring.judge(key)) == "the key is not known"  # type: ignore[misc]
    assert books.questions == []


def test_a_key_of_the_settings_costs_no_question() -> None:
    books = Books()
    assert books.ring.judge(OWN).who == "own"
    assert books.questions == []


def test_what_is_remembered_has_a_bound() -> None:
    books = Books()
    for number in range(MAX_REMEMBERED + 10):
        refused(lambda number=number: books.ring.judge(f"tq_{number:016x}_{'a' * 64}"))  # type: ignore[misc]
    assert len(books.ring._remembered) == MAX_REMEMBERED


def test_nobody_is_let_in_while_the_database_is_away_and_it_is_asked_again() -> None:
    books = Books()
    books.error = ActorUnavailableError("the key-reader is not running")
    for _ in range(2):
        with pytest.raises(ActorUnavailableError):
            books.ring.judge(KEY)
    books.error = None
    assert books.ring.judge(KEY).name == "shop"


def test_a_silent_database_is_asked_no_more_and_nobody_waits_for_it() -> None:
    books = Books()
    books.ring.judge(KEY)
    books.at_once = False
    books.pass_by(FRESH_SECONDS)
    books.ring.judge(KEY)  # asks, and does not wait
    books.pass_by(SILENT_SECONDS + 0.1)
    others = [f"tq_{number:016x}_{'a' * 64}" for number in range(5)]
    for key in others:
        with pytest.raises(UnavailableError, match="the database is silent"):
            books.ring.judge(key)
    assert books.ring.judge(KEY).name == "shop"  # its last answer is not stale yet
    assert len(books.questions) == 2
    books.at_once = True
    books.answer(books.questions[1])  # it is back
    assert refused(lambda: books.ring.judge(others[0])) == "the key is not known"


def test_a_request_waits_so_long_at_most() -> None:
    books = Books(at_once=False)
    with pytest.raises(AnswerTimeoutError):
        books.ring.judge(KEY)


def test_all_that_wait_for_a_key_get_the_one_answer() -> None:
    books = Books(at_once=False)
    asked = threading.Event()
    ask = books.ring._ask

    def and_tell(question: FindKey) -> Reply[StoredKey | None]:
        reply = ask(question)
        asked.set()
        return reply

    books.ring._ask = and_tell
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(books.ring.judge(KEY).name)) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    assert asked.wait(DEADLINE_SECONDS)
    books.answer(books.questions[0])
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert found == ["shop"] * 5
    assert len(books.questions) == 1


def test_a_key_of_the_file_is_found_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f'[app]\nkey = "{"f" * 40}"\nscopes = ["work"]\nqueues = ["mail"]\n')
    books = Books(file=KeysFile(path, ManualClock()))
    caller = books.ring.judge("f" * 40)
    assert (caller.name, caller.queues) == ("app", frozenset({"mail"}))
