"""Charts made of figures."""

import re

from task_queue.api.ui.charts import HEIGHT, WIDTH, chart

ROW = {
    "published": [4, 0, 0],
    "started": [2, 2, 0],
    "completed": [1, 2, 0],
    "failed": [1, 0, 0],
    "dead": [0, 0, 0],
    "wait_seconds": [2.0, 2.0, 0.0],
    "run_seconds": [4.0, 2.0, 0.0],
}
FIGURES = {"span": "hour", "begin": 1_000.0, "step_seconds": 60, "queues": {"tasks": ROW}}


def test_a_chart_adds_up_and_says_so_in_words() -> None:
    made = chart(FIGURES, "tasks", "hour")
    assert made is not None
    assert made.words == ("Last hour: 3 tasks completed, 1 attempt failed, at most 2 in 1 min")
    assert (made.completed_sum, made.failed_sum, made.published_sum) == (3, 1, 4)
    assert (made.wait_seconds, made.run_seconds) == (1.0, 1.5)
    assert [(row.begin, row.completed) for row in made.rows] == [
        (1_120.0, 0),
        (1_060.0, 2),
        (1_000.0, 1),
    ]


def test_bars_stand_on_the_ground_and_failures_on_them() -> None:
    made = chart(FIGURES, "tasks", "hour")
    assert made is not None
    assert made.done.count("M") == 2  # none for what is nothing
    (foot,) = re.findall(r"M[\d.]+ ([\d.]+)v", made.failed)
    assert float(foot) == HEIGHT - HEIGHT / made.top
    places = [float(x) for x in re.findall(r"M([\d.]+)", made.done + made.failed)]
    assert all(0 <= x < WIDTH for x in places)


def test_of_a_day_there_are_rows_of_two_hours() -> None:
    day = {name: [1] * 144 for name in ROW}
    made = chart({**FIGURES, "step_seconds": 600, "queues": {"tasks": day}}, "tasks", "day")
    assert made is not None
    assert [row.completed for row in made.rows] == [12] * 12


def test_of_what_is_not_known_there_is_no_chart() -> None:
    assert chart(None, "tasks", "hour") is None
    assert chart(FIGURES, "mail", "hour") is None
