"""What tests read out of pages."""

import html
import re

import httpx

_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_TAG = re.compile(r"<[^>]+>")


def token_of(client: httpx.Client, path: str) -> str:
    """The token of the form on a page."""
    answer = client.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    found = _TOKEN.search(answer.text)
    assert found is not None, answer.text
    return found[1]


def submit(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """What comes of the form at this path: its token and these fields."""
    return client.post(path, data={"token": token_of(client, path), **fields})


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
