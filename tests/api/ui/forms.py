"""The dashboard as a browser without JavaScript sees it: pages, their forms, what is sent."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

Fields = dict[str, list[str]]


@dataclass
class Form:
    """A form of a page.

    Attributes:
        action: Where it is sent to.
        method: In lower case.
        fields: What it sends if nothing is changed, by name.
    """

    action: str
    method: str
    fields: Fields = field(default_factory=dict)


@dataclass
class Page:
    """A page that was answered.

    Attributes:
        answer: The answer.
        text: What can be read, with one blank between words.
        title: Its first heading.
        links: Where its links lead, by their words or labels.
        all_links: Where all of them lead, in order.
        forms: Its forms, in order.
    """

    answer: httpx.Response
    text: str
    title: str
    links: dict[str, str]
    all_links: list[str]
    forms: list[Form]

    def form(self, action: str) -> Form:
        """The form that is sent there."""
        found = [each for each in self.forms if each.action.partition("?")[0] == action]
        assert len(found) == 1, (action, [each.action for each in self.forms])
        return found[0]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.heading: list[str] = []
        self.links: dict[str, str] = {}
        self.all_links: list[str] = []
        self.forms: list[Form] = []
        self._in_heading = False
        self._link: tuple[str, str | None, list[str]] | None = None
        self._form: Form | None = None
        self._select: str | None = None
        self._area: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        name = given.get("name", "")
        if tag == "h1":
            self._in_heading = True
        elif tag == "a":
            self._link = (given["href"], given.get("aria-label"), [])
        elif tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._form)
        elif name and self._form is not None:
            self._begin_field(tag, given)
        elif tag == "option" and self._select:
            self._add_option(self._select, given)

    def _add_option(self, select: str, given: dict[str, str]) -> None:
        if "selected" in given or not self._fields.get(select):
            self._fields[select] = [given.get("value", "")]

    def _begin_field(self, tag: str, given: dict[str, str]) -> None:
        name, value = given["name"], given.get("value", "")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            self._put(name, "")
        elif tag == "input":
            if given.get("type") not in {"checkbox", "radio"}:
                self._put(name, value)
            elif "checked" in given:
                self._put(name, value or "on")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link is not None:
            href, label, words = self._link
            self.all_links.append(href)
            self.links.setdefault(label or " ".join("".join(words).split()), href)
            self._link = None
        elif tag == "h1":
            self._in_heading = False
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            # HTML leaves out a line break at the beginning.
            self._fields[self._area][-1] += data.removeprefix("\n")
            return
        self.words.append(data)
        if self._link is not None:
            self._link[2].append(data)
        if self._in_heading:
            self.heading.append(data)

    @property
    def _fields(self) -> Fields:
        return {} if self._form is None else self._form.fields

    def _put(self, name: str, value: str) -> None:
        self._fields.setdefault(name, []).append(value)


def read(answer: httpx.Response) -> Page:
    """The page of an answer."""
    assert answer.headers["Content-Type"].startswith("text/html"), answer.text
    reader = _Reader()
    reader.feed(answer.text)
    text = " ".join(" ".join(reader.words).split())
    title = " ".join("".join(reader.heading).split())
    return Page(answer, text, title, reader.links, reader.all_links, reader.forms)


class Visitor:
    """Somebody who looks at pages and sends forms."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def open(self, path: str) -> Page:
        """The page at a path, or the one it leads to."""
        return self._followed(self._client.get(path))

    def send(self, form: Form, **changed: str | list[str]) -> Page:
        """The page that a form leads to, with some fields changed."""
        fields: dict[str, str | list[str]] = {**form.fields, **changed}
        if form.method == "get":
            return self._followed(self._client.get(form.action, params=fields))
        return self._followed(self._client.post(form.action, data=fields))

    def _followed(self, answer: httpx.Response) -> Page:
        while answer.is_redirect:
            answer = self._client.get(answer.headers["Location"])
        return read(answer)
