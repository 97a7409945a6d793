"""Which keys hold: those of the settings, of a file, and of the database, which are remembered.

A request with a key is to cost no query. So an answer of the database is used as it is while it is
young; then it is used once more while the database is asked anew; and at last it is waited for.
"""

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from task_queue.actors.errors import TaskQueueError, UnavailableError
from task_queue.actors.messages.reader import FindKey
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.keys import StoredKey
from task_queue.api.auth.caller import Caller
from task_queue.api.auth.keys import caller_with, hash_of, id_of, is_id
from task_queue.api.auth.keys_file import KeysFile
from task_queue.config.logger import get_logger

FRESH_SECONDS = 1.5
"""How long what the database said of a key is used as it is."""
STALE_SECONDS = 4.5
"""From when on it is not used any more: what is revoked is refused within 5 seconds."""
SILENT_SECONDS = 1.0
"""How long requests wait for a database that says nothing; from then on they are refused."""
MAX_REMEMBERED = 10_000
"""How many keys are remembered, unknown ones too; about 500 bytes each."""

MAX_JUDGED = 1_000
"""How many keys that hold are kept as they were sent, for a moment."""

_log = get_logger()


class RefusedKeyError(Exception):
    """The key does not hold; the text says why, to whoever has it."""


class Judged(NamedTuple):
    """A key that holds.

    Attributes:
        until: How long that need not be looked at again, on the clock that is never set.
        caller: Who has it.
        holds: Tells whether it still does, later: see `Keyring.holds`.
    """

    until: float
    caller: Caller
    holds: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Said:
    """What the database said of a key.

    Attributes:
        asked_at: When it was asked, on the clock that is never set.
        key: The key; None: there is none.
        caller: Who has it.
    """

    asked_at: float
    key: StoredKey | None = None
    caller: Caller | None = None


_NOTHING = _Said(asked_at=float("-inf"))


@dataclass(slots=True)
class _Remembered:
    """What is known of a key of the database.

    Attributes:
        said: What the database said last.
        asking: What is being asked, if anything.
    """

    said: _Said = _NOTHING
    asking: Reply[StoredKey | None] | None = None


class Keyring:
    """Judges keys; used by all threads that answer requests."""

    def __init__(
        self,
        settings: Mapping[str, Caller],
        file: KeysFile | None,
        ask: Callable[[FindKey], Reply[StoredKey | None]],
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Keep where keys come from.

        Args:
            settings: Whoever has a key of the settings, by the hash of that.
            file: Has further ones.
            ask: Asks the database, and returns at once.
            now: The present moment, Unix seconds.
            monotonic: Seconds on a clock that is never set.
        """
        self._settings = settings
        self._file = file
        self._ask = ask
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._judged: dict[str, Judged] = {}
        self._open_questions = 0
        self._heard_at = 0.0  # the last answer, or the first question since there was none open

    def configured(self, key: str) -> Caller | None:
        """Return whoever has this key of the settings or of the file; None: it is in neither."""
        return self._configured(hash_of(key))

    def _configured(self, hashed: str) -> Caller | None:
        # Found by its hash: the time that takes says nothing of the key.
        caller = self._settings.get(hashed)
        return caller if caller or self._file is None else self._file.find(hashed)

    def recent(self, header: str) -> Judged | None:
        """Return what was judged of the same header a moment ago; None: it has to be judged."""
        judged = self._judged.get(header)
        return judged if judged is not None and self._monotonic() < judged.until else None

    def judge(self, key: str, header: str | None = None) -> Caller:
        """Return whoever has this key.

        Args:
            key: The key.
            header: What it came in, by which `recent` finds it for a moment.

        Raises:
            RefusedKeyError: It does not hold.
            UnavailableError: The database did not say whether it does.
        """
        hashed = hash_of(key)
        if (caller := self._configured(hashed)) is not None:
            return caller
        if (key_id := id_of(key)) is None:
            raise RefusedKeyError("the key is not known")
        said = self._said_of(key_id)
        stored, caller = said.key, said.caller
        if stored is None or caller is None or not hmac.compare_digest(stored.hash, hashed):
            raise RefusedKeyError("the key is not known")
        self._check_state(stored)
        if stored.expires_at is None and header is not None:
            until = said.asked_at + FRESH_SECONDS
            self._keep(header, Judged(until, caller, partial(self.holds, key)))
        return caller

    def name_of(self, key: str) -> str:
        """Return what stands for a key that holds, so that nobody has to keep the key itself.

        Its public part if it is of the database, else its hash.
        """
        hashed = hash_of(key)
        return hashed if self._configured(hashed) is not None else id_of(key) or hashed

    def judge_named(self, name: str) -> Caller:
        """Return whoever has the key with this name, which only `name_of` has made.

        Raises:
            RefusedKeyError: It does not hold any more.
            UnavailableError: The database did not say whether it does.
        """
        if not is_id(name):
            if (caller := self._configured(name)) is None:
                raise RefusedKeyError("the key is not known any more")
            return caller
        said = self._said_of(name)
        if said.key is None or said.caller is None:
            raise RefusedKeyError("the key is not known any more")
        self._check_state(said.key)
        return said.caller

    def _check_state(self, stored: StoredKey) -> None:
        if stored.revoked_at is None and stored.expires_at is None:
            return
        state = stored.state(self._now())
        if state != "valid":
            raise RefusedKeyError(f"the key {stored.name} is {state}")

    def _keep(self, header: str, judged: Judged) -> None:
        """Let this header be taken as it is for a moment, which saves most of what a key costs.

        It was compared in constant time just now, and the dictionary compares only texts that have
        the same hash, of a kind drawn by each process.
        """
        if len(self._judged) >= MAX_JUDGED:
            self._judged.clear()
        self._judged[header] = judged

    def holds(self, key: str) -> bool:
        """Return whether a key that was judged still holds, as far as is known; never waits.

        For requests that wait for long: each look has the database asked anew if it is time.
        """
        hashed = hash_of(key)
        if self._configured(hashed) is not None:
            return True
        if (key_id := id_of(key)) is None:
            return False  # it was in the file
        moment, remembered = self._monotonic(), self._remember(key_id)
        if moment - remembered.said.asked_at >= FRESH_SECONDS:
            self._asked(remembered, key_id, moment)
        if (said := remembered.said) is _NOTHING:
            return True
        return said.key is not None and said.key.state(self._now()) == "valid"

    def _said_of(self, key_id: str) -> _Said:
        """Return what the database says of this key, at most `STALE_SECONDS` old."""
        moment, remembered = self._monotonic(), self._remember(key_id)
        age = moment - remembered.said.asked_at
        if age < FRESH_SECONDS:
            return remembered.said
        asking = self._asked(remembered, key_id, moment)
        if age < STALE_SECONDS:
            return remembered.said
        if asking is None:
            raise UnavailableError("whether the key holds is not known: the database is silent")
        asking.wait(self._heard_at + SILENT_SECONDS - moment)
        return remembered.said

    def _remember(self, key_id: str) -> _Remembered:
        """Return what is known of this key, which is nothing at first."""
        with self._lock:
            if (remembered := self._remembered.get(key_id)) is None:
                remembered = self._remembered[key_id] = _Remembered()
                if len(self._remembered) > MAX_REMEMBERED:
                    self._remembered.popitem(last=False)
            self._remembered.move_to_end(key_id)
            return remembered

    def _asked(
        self, remembered: _Remembered, key_id: str, moment: float
    ) -> Reply[StoredKey | None] | None:
        """Ask the database, unless that is being done; None: it has been silent for too long."""
        with self._lock:
            if self._open_questions and moment - self._heard_at > SILENT_SECONDS:
                return None
            if remembered.asking is not None:
                return remembered.asking
            if not self._open_questions:
                self._heard_at = moment
            self._open_questions += 1
            question = FindKey(key_id)
            reply = remembered.asking = question.reply_to
            # Before anybody can wait for it: then what was said is there.
            reply.then(partial(self._hear, remembered, reply, moment))
        self._ask(question)
        return reply

    def _hear(
        self, remembered: _Remembered, reply: Reply[StoredKey | None], asked_at: float
    ) -> None:
        try:
            key = reply.outcome()
        except TaskQueueError as error:
            _log.warning("the database does not say whether a key holds", error=str(error))
        else:
            remembered.said = _Said(asked_at, key, None if key is None else caller_with(key))
        with self._lock:
            remembered.asking = None
            self._open_questions -= 1
            self._heard_at = self._monotonic()
