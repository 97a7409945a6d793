"""The ends of tasks that a look at the database finds, for all that wait with one question."""

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.messages.writer import Watch
from task_queue.api.waits import LOOK_SECONDS, Waits

NOW = 100.0


def watches(*task_ids: str) -> list[Watch]:
    return [Watch(task_id, NOW + 60) for task_id in task_ids]


def test_nothing_is_asked_while_nobody_waits() -> None:
    assert Waits().question(NOW) is None


def test_one_question_is_asked_for_all_and_answers_those_whose_task_has_ended() -> None:
    waits = Waits()
    asked = watches("running", "completed", "dead", "gone", "coming", "running")
    for watch in asked:
        waits.add(watch, has_row=watch.task_id != "coming")
    question = waits.question(NOW)
    assert question is not None
    assert sorted(question.task_ids) == ["coming", "completed", "dead", "gone", "running"]
    question.reply_to.answer({"completed": True, "dead": True, "gone": False, "coming": False})
    ended = [watch.task_id for watch in asked if watch.reply_to.is_done]
    assert ended == ["completed", "dead", "gone"]
    assert waits.question(NOW + LOOK_SECONDS - 0.01) is None
    again = waits.question(NOW + LOOK_SECONDS)
    assert again is not None
    assert sorted(again.task_ids) == ["coming", "running"]


def test_who_waits_no_more_is_not_asked_for() -> None:
    waits = Waits()
    first, second = watches("a", "b")
    waits.add(first, has_row=True)
    waits.add(second, has_row=True)
    first.reply_to.answer(False)  # noqa: FBT003 - the reply's value
    question = waits.question(NOW)
    assert question is not None
    assert question.task_ids == ("b",)
    question.reply_to.answer({"b": True})
    assert waits.question(NOW + LOOK_SECONDS) is None


def test_questions_do_not_pile_up_while_the_database_hangs_and_go_on_after_an_error() -> None:
    waits = Waits()
    (watch,) = watches("a")
    waits.add(watch, has_row=True)
    question = waits.question(NOW)
    assert question is not None
    assert waits.question(NOW + 10) is None
    question.reply_to.fail(StoreUnavailableError("away"))
    assert not watch.reply_to.is_done
    assert waits.question(NOW + 10) is not None
