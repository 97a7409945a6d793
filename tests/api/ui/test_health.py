"""What is wrong, with a link to where it is mended."""

from task_queue.actors.tasks.figures import Figures
from task_queue.actors.tasks.nodes import Node
from task_queue.actors.tasks.signs import Signs, in_words
from task_queue.actors.tasks.states import Status
from task_queue.api.ui.health import Trouble, health

NOW = 1_800_000_000.0
LONG_AGO = NOW - 3_600
SIGNS = Signs(
    counts={"mail": {Status.QUEUED: 3}, "gone": {Status.QUEUED: 2}},
    paused=["mail"],
    ready={"sms": LONG_AGO},
    external={("sms", "lend"): LONG_AGO},
    nodes=[
        Node(
            name="web-2",
            version="1",
            started_at=LONG_AGO,
            seen_at=LONG_AGO,
            draining=False,
            queues={},
        )
    ],
    last_hour={"sms": Figures(dead=50)},
)
"""One of each kind."""


def test_every_sign_of_trouble_leads_to_where_it_is_mended() -> None:
    found = in_words(SIGNS, NOW, ["mail", "sms"])
    looked = health({"problems": [], "warnings": found}, ["mail", "sms"])
    assert [each.path for each in looked.warnings] == [
        "/ui/queues/mail/resume",
        "/ui/tasks?queue=gone",
        "/ui/nodes",
        "/ui/queues/sms",
        "/ui/nodes",
        "/ui/dead-letters?queue=sms",
    ]
    assert looked.warnings[0].words == "The queue mail is paused and 3 tasks wait on it."
    assert [each.changes for each in looked.warnings] == [True, *[False] * 5]


def test_who_may_change_nothing_is_led_to_the_queue() -> None:
    found = in_words(SIGNS, NOW, ["mail", "sms"])
    looked = health({"problems": [], "warnings": found}, ["mail", "sms"], may_operate=False)
    assert looked.warnings[0].path == "/ui/queues/mail"


def test_a_problem_is_a_sentence_with_or_without_a_link() -> None:
    problems = ["the queue-mail is down", "the last commit failed: disk full"]
    looked = health({"problems": problems, "warnings": []}, ["mail"])
    assert looked.problems == [
        Trouble("The queue-mail is down", "/ui/queues/mail", "Queue mail"),
        Trouble("The last commit failed: disk full"),
    ]


def test_a_queue_without_a_page_has_no_link() -> None:
    looked = health({"problems": ["the queue-mail is down"], "warnings": []}, [])
    assert [each.path for each in looked.problems] == [None]
