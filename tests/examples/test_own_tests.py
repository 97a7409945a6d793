from collections.abc import Callable

import pytest

from tests.examples.project import EXAMPLES, Project

WITH_TESTS = sorted({path.relative_to(EXAMPLES).parts[0] for path in EXAMPLES.rglob("test_*.py")})


def test_there_are_some() -> None:
    assert len(WITH_TESTS) == 3


@pytest.mark.system
@pytest.mark.parametrize("name", WITH_TESTS)
def test_the_tests_of_an_example_pass_as_its_page_shows(
    project: Callable[[str], Project], name: str
) -> None:
    example = project(name)
    assert len(example.run_tests) == 1
    example.follow(example.run_tests, {})
