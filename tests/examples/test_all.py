import re
from collections.abc import Callable

import pytest

from tests.examples.project import EXAMPLES, Project
from tests.harness import ROOT

NAMES = {path.parent.name for path in EXAMPLES.glob("*/tq.toml")}
WITH_TESTS = sorted({path.relative_to(EXAMPLES).parts[0] for path in EXAMPLES.rglob("test_*.py")})


def test_every_example_is_listed_and_run() -> None:
    listed = re.findall(r"\((\w+)/README\.md\)", (EXAMPLES / "README.md").read_text("utf-8"))
    run = {path.stem.removeprefix("test_") for path in (ROOT / "tests/examples").glob("test_*.py")}
    assert len(NAMES) == 6
    assert set(listed) == NAMES == run - {"all"}
    assert len(WITH_TESTS) == 3


@pytest.mark.system
@pytest.mark.parametrize("name", WITH_TESTS)
def test_the_tests_of_an_example_pass_as_its_page_shows(
    project: Callable[[str], Project], name: str
) -> None:
    example = project(name)
    assert len(example.run_tests) == 1
    example.follow(example.run_tests, {})
