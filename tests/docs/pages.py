"""The pages as something to run: their files, their commands, and the answers shown below those.

An answer on a page is a pattern for the real one. `…` stands for members, entries, lines or text
left out. Ids are names: one on a page stands for the same real one throughout. What differs from
run to run by nature, such as a moment, has only to look alike.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.harness import ROOT

CUT = "…"

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
"""The pages for users; each example in `docs/examples` has its own test."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d(?=T)|(?<=:\d\d)(?:Z|[+-]\d\d:\d\d)")
"""The day of a time, and its offset, which changes with the season; its hour stays."""
_WORD = re.compile(r"[\w-]+")
_NAMED = re.compile(r"# (\S+\.\w+)\n")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_MOMENT = re.compile(r"[12]\d{9}(\.\d{1,3})?")
_FRACTION = re.compile(r"\d+\.\d+")
_VARIES = {
    **dict.fromkeys(
        ("created_at", "processed_at", "run_at", "started_at", "ended_at", "first_at", "last_at"),
        _MOMENT,
    ),
    **dict.fromkeys(("started", "ended"), _MOMENT),
    # Of a queue's rates; its counts by the same names are whole numbers, and have to be right.
    **dict.fromkeys(("published", "completed", "failed"), _FRACTION),
    **dict.fromkeys(("oldest_ready_seconds", "fraction"), _FRACTION),
    "expires_at": _MOMENT,
    "lease": re.compile(r"[0-9a-f-]{36}\.[0-9a-f]{16}"),
    "worker": re.compile(r"\S+:\d+"),
    "message": re.compile(r"row \d+ of \d+"),
}
"""Members that may have another value than the page shows, and what both must look like."""

T = TypeVar("T")
Names = dict[str, str]
"""What an id or a cursor on a page is called by the server."""


@dataclass(frozen=True, slots=True)
class Example:
    """A command with the answer that it is said to have.

    Attributes:
        line: Its number on the page.
        command: What is typed.
        answer: What is shown below it; empty: nothing.
    """

    line: int
    command: str
    answer: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        line: Its first line's number on the page.
        language: What its fence says it is; empty: it is indented.
        text: What is in it.
    """

    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class File:
    """A file to be saved before the commands below it are typed.

    Attributes:
        name: What it is called, relative to where the commands are typed.
        text: What is in it.
    """

    name: str
    text: str


class _Object(list[tuple[str, Any]]):
    """A JSON object with its members in their order."""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of code, fenced or indented by four spaces, in their order."""
    lines = page.splitlines()
    at = 0
    while at < len(lines):
        start = at + 1
        if lines[at].startswith("```"):
            end = lines.index("```", start)
            yield Block(start + 1, lines[at][3:], "\n".join(lines[start:end]))
            at = end
        elif lines[at].startswith("    "):
            while at < len(lines) and (not lines[at] or lines[at].startswith("    ")):
                at += 1
            text = "\n".join(line[4:] for line in lines[start - 1 : at])
            yield Block(start, "", text.rstrip())
        at += 1


def steps(page: str) -> Iterator[File | Example]:
    """The files and the commands of a page, in their order.

    A file is a fenced block whose first line is a comment with its name; a command stands behind
    a `$`, with its answer below it.
    """
    for block in blocks(page):
        if block.language and (named := _NAMED.match(block.text)):
            yield File(named[1], f"{block.text}\n")
        else:
            yield from _commands(block)


def examples(page: str) -> list[Example]:
    """The commands of a page, in their order."""
    return [step for step in steps(page) if isinstance(step, Example)]


def files(page: str) -> list[File]:
    """The files of a page, in their order; one that changes is there more than once."""
    return [step for step in steps(page) if isinstance(step, File)]


def page_id(page: Path) -> str:
    """What the tests of a page are called."""
    return str(page.relative_to(ROOT))


def _commands(block: Block) -> Iterator[Example]:
    lines = deque(enumerate(block.text.splitlines(), block.line))
    while lines:
        number, line = lines.popleft()
        if not line.startswith("$ "):
            continue
        command = line[2:]
        while command.endswith("\\") or command.count("'") % 2:
            command += f"\n{lines.popleft()[1]}"
        answer = []
        while lines and not lines[0][1].startswith("$ "):
            answer.append(lines.popleft()[1])
        yield Example(number, command, "\n".join(answer))


def typed(command: str, names: Names) -> str:
    """The command with the server's own ids and cursors in it."""
    return _WORD.sub(lambda word: names.get(word[0], word[0]), command)


def answers(shown: str, real: str, names: Names) -> Names | None:
    """The names with those that this answer adds; None if it is not the answer that is shown.

    Args:
        shown: What the page shows: a JSON value or plain text, or with `curl -i` the lines of the
            head and, after an empty one, such a value.
        real: What the command said.
        names: Those known so far.
    """
    known = dict(names)
    head, body = _parted(shown)
    real_head, real_body = _parted(real.replace("\r\n", "\n"))
    is_alike = _in_order(
        head, real_head, lambda line, real_line: _is_text(line, real_line, known)
    ) and _is_value("", _value(body), _value(real_body), known)
    return known if is_alike else None


def _parted(answer: str) -> tuple[list[str], str]:
    if not answer.startswith("HTTP/"):
        return [], answer
    head, _, body = answer.partition("\n\n")
    return head.splitlines(), body


def _value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value with `…` as a member or entry of its own; None for no text at all.

    What is not JSON is a text.
    """
    tokens, inside = [], [""]
    for token in _TOKEN.findall(text):
        if token in "{[":
            inside.append(token)
        elif token in "}]" and len(inside) > 1:
            inside.pop()
        cut = f'"{CUT}":0' if inside[-1] == "{" else f'"{CUT}"'
        tokens.append(cut if token == CUT else token)
    try:
        return json.loads("".join(tokens), object_pairs_hook=_Object) if tokens else None
    except ValueError:
        return text.rstrip("\n")


def _is_value(member: str, shown: object, real: object, names: Names) -> bool:
    """Whether the real value of this member may be shown so."""
    match shown, real:
        case _Object(), _Object():
            return _in_order(
                [CUT if name == CUT else (name, value) for name, value in shown],
                real,
                lambda one, other: (
                    one[0] == other[0] and _is_value(one[0], one[1], other[1], names)
                ),
            )
        case list(), list() if not isinstance(real, _Object):
            return _in_order(shown, real, lambda one, other: _is_value("", one, other, names))
        case str(), str() if member == "next_cursor":
            return _is_named(shown, real, names)
        case str(), str() if _is_text(shown, real, names):
            return True
        case _ if shown == real and type(shown) is type(real):
            return True
    like = _VARIES.get(member)
    return like is not None and all(like.fullmatch(str(value)) for value in (shown, real))


def _in_order(shown: Sequence[Any], real: Sequence[T], is_one: Callable[[Any, T], bool]) -> bool:
    """Whether these are the real ones, but for those that a `…` stands for."""
    at, gap = 0, False
    for each in shown:
        if each == CUT:
            gap = True
            continue
        while gap and at < len(real) and not is_one(each, real[at]):
            at += 1
        if at == len(real) or not (gap or is_one(each, real[at])):
            return False
        at, gap = at + 1, False
    return gap or at == len(real)


def _is_text(shown: str, real: str, names: Names) -> bool:
    pattern = ".*".join(map(re.escape, _like(shown).split(CUT)))
    ids, real_ids = _ID.findall(shown), _ID.findall(real)
    return (
        re.fullmatch(pattern, _like(real), re.DOTALL) is not None
        and len(ids) == len(real_ids)
        and all(_is_named(*pair, names) for pair in zip(ids, real_ids, strict=True))
    )


def _like(text: str) -> str:
    return _DAY.sub("<day>", _ID.sub("<id>", text))


def _is_named(shown: str, real: str, names: Names) -> bool:
    """Whether the name stands for this and nothing else, from now on if it is new."""
    return names.setdefault(shown, real) == real and list(names.values()).count(real) == 1
