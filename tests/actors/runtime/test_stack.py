from threading import get_ident

from task_queue.actors.runtime.stack import stack_of


def test_the_stack_of_a_thread_shows_where_it_is_and_that_of_one_that_is_over_nothing() -> None:
    assert "test_the_stack_of_a_thread" in stack_of(get_ident())
    assert stack_of(-1) == ""
