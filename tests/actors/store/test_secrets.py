"""What all nodes sign with, as rows."""

from task_queue.actors.store import secrets
from task_queue.actors.store.session import Session
from tests.actors.store.calls import call


def test_the_first_secret_that_was_drawn_is_everybodys(session: Session) -> None:
    kept = [
        call(session, lambda connection, each=each: secrets.keep(connection, "ui", each))  # type: ignore[misc]
        for each in ("first", "second")
    ]
    assert kept == ["first", "first"]
    assert call(session, lambda connection: secrets.keep(connection, "other", "third")) == "third"
