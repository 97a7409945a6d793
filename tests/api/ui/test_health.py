"""What is wrong, with a link to where it is mended."""

from task_queue.api.ui.health import Trouble, health


def test_a_trouble_leads_to_where_it_is_mended() -> None:
    warnings = [
        "the queue mail is paused with 3 tasks waiting: resume it",
        "41 dead letters of the queue mail in the last hour: look at their error",
        "the node web-2 has been silent for 40 s",
        "the disk is nearly full",
    ]
    looked = health({"problems": ["the queue-mail is down"], "warnings": warnings}, ["mail"])
    assert looked.problems == [Trouble("The queue-mail is down", "/ui/queues/mail", "Queue mail")]
    assert [each.path for each in looked.warnings] == [
        "/ui/queues/mail",
        "/ui/dead-letters",
        "/ui/nodes",
        None,
    ]


def test_a_queue_without_a_page_has_no_link() -> None:
    looked = health({"problems": [], "warnings": ["the queue gone has tasks, and no settings"]}, [])
    assert [each.path for each in looked.warnings] == [None]
