"""What is looked at to see trouble."""

from task_queue.actors.store import figures, nodes, queues
from task_queue.actors.store.session import Session
from task_queue.actors.store.signs import signs
from task_queue.actors.tasks.figures import MINUTE_SECONDS, Figures
from task_queue.actors.tasks.nodes import Node
from task_queue.actors.tasks.signs import Signs
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import call, put
from tests.fakes import NOW, a_task

NODE = Node(
    name="a:1", version="1.0", started_at=NOW, seen_at=NOW, draining=False, queues={"tasks": 2}
)
MINUTE = int(NOW) // MINUTE_SECONDS


def seen(session: Session, *names: str) -> Signs:
    return call(session, lambda connection: signs(connection, NOW, names))


def test_of_each_queue_it_is_seen_since_when_what_comes_next_waits(session: Session) -> None:
    put(
        session,
        a_task(run_at=NOW - 9),
        a_task(run_at=NOW - 8),
        a_task(run_at=NOW - 7, external=True, action="resize"),
        a_task(run_at=NOW - 6, external=True, action="resize"),
        a_task(run_at=NOW - 5, external=True, action="crop"),
        a_task(run_at=NOW - 4, queue="mail", status=Status.SCHEDULED),
        a_task(run_at=NOW - 3, queue="other"),
    )
    found = seen(session, "tasks", "mail")
    assert found.ready == {"tasks": NOW - 9}
    assert found.external == {("tasks", "resize"): NOW - 7, ("tasks", "crop"): NOW - 5}
    assert found.counts["tasks"][Status.QUEUED] == 5
    assert found.counts["other"][Status.QUEUED] == 1  # also of those that are not of this node


def test_pauses_nodes_and_the_last_hour_are_seen(session: Session) -> None:
    call(session, lambda connection: queues.set_paused(connection, "mail", paused=True))
    call(session, lambda connection: nodes.say_alive(connection, NODE, alone=False))
    rows = [("tasks", MINUTE - ago, Figures(dead=1)) for ago in (61, 60, 1, 0)]
    call(session, lambda connection: figures.add(connection, sorted(rows)))
    found = seen(session)
    assert (found.paused, found.nodes) == ({"mail"}, [NODE])
    assert found.last_hour == {"tasks": Figures(dead=3)}
