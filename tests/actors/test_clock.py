from task_queue.actors.clock import Clock
from task_queue.actors.messages.clock import Tick
from tests.fakes import NOW, Inbox, ManualClock, life, running


def test_everybody_is_told_what_time_it_is_again_and_again() -> None:
    now = ManualClock()
    inboxes = [Inbox(), Inbox()]
    with running(Clock.start(life("clock"), listeners=lambda: inboxes, now=now)):
        assert [inbox.wait_for(Tick).now for inbox in inboxes] == [now.now] * 2
        later = now.advance(3600)
        while (seen := inboxes[1].wait_for(Tick).now) != later:
            assert seen == NOW  # from before the clock was set, however many there were
