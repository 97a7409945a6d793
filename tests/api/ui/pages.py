"""What tests read out of pages."""

import html
import re

import httpx

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_TAG = re.compile(r"<[^>]+>")


def token_of(client: httpx.Client, path: str) -> str:
    """The token of the form on a page."""
    return hidden_of(client, path)["token"]


def hidden_of(client: httpx.Client, path: str) -> dict[str, str]:
    """What the form on a page sends besides what its user fills in."""
    answer = client.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return {name: html.unescape(value) for name, value in _HIDDEN.findall(answer.text)}


def submit(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """What comes of the form at this path: what is hidden in it, and these fields."""
    return client.post(path, data={**hidden_of(client, path), **fields})


def words_of(answer: httpx.Response) -> str:
    """What people read in the main part of a page."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(_TAG.sub(" ", f"<main{main}")).split())


def said_after(client: httpx.Client, answer: httpx.Response) -> str:
    """What is said on the page that a change leads to."""
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    page = client.get(answer.headers["Location"])
    found = re.search(r'id="said"[^>]*><p>(.*?)</p>', page.text)
    return html.unescape(found[1]) if found else ""
