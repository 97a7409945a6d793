"""Every link between our own files leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.harness import ROOT

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not re.search(r"(^|/)\.|-results/|^build/", str(path.relative_to(ROOT)))
)
_FENCED = re.compile(r"^```.*?^```$|^    .*?$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^()\s>]+)>?[^()]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    targets = _LINK.findall(_FENCED.sub("", page.read_text("utf-8")))
    assert [target for target in targets if not leads_somewhere(page, target)] == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    readme = ROOT / "README.md"
    title = readme.read_text("utf-8").partition("\n")[0].removeprefix("# ")
    assert leads_somewhere(readme, f"#{title.lower().replace(' ', '-')}")
    assert leads_somewhere(readme, "LICENSE")
    assert leads_somewhere(readme, "https://example.com/nothing")
    assert not leads_somewhere(readme, "#no-such-heading")
    assert not leads_somewhere(readme, "NO-SUCH-FILE.md")
    assert not leads_somewhere(readme, "docs/settings.md#no-such-heading")


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether the target is another site's, a file, or a heading of a page."""
    if re.match("[a-z]+:", target):
        return True
    name, _, anchor = target.partition("#")
    path = page.parent / name if name else page
    return path.exists() and (not anchor or anchor in anchors(path.read_text("utf-8")))


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", _FENCED.sub("", text), re.MULTILINE):
        # A link in a heading counts by its text.
        words = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        numbered = (f"{slug}-{number}" for number in range(1, 100))
        found.add(slug if slug not in found else next(n for n in numbered if n not in found))
    return found
