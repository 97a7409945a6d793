"""JSON in and out: what is taken comes back the same, and the rest is refused in words."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orjson import dumps

from task_queue.api.json_codec import MAX_DEPTH, InvalidJSONError, parse

MAX = 2**63 - 1

texts = st.text(st.characters(exclude_categories=["Cs"]))
storable_texts = texts.filter(lambda text: "\x00" not in text)


def values(
    text: st.SearchStrategy[str], integer: st.SearchStrategy[int]
) -> st.SearchStrategy[object]:
    return st.recursive(
        st.none()
        | st.booleans()
        | integer
        | st.floats(allow_nan=False, allow_infinity=False)
        | text,
        lambda inner: st.lists(inner) | st.dictionaries(text, inner),
        max_leaves=20,
    )


def refusal(body: bytes) -> str:
    with pytest.raises(InvalidJSONError) as caught:
        parse(body)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b'{"action":"a","action":"b"}', "action"),
        (b'{"action": "a", "action": "a"}', "action"),
        (b'{"data": {"text": "x", "text": "y"}}', "text"),
        (b'{"data": [[{"a": {"": 1, "b": 2, "": 3}}]]}', '""'),
        (b'{"a": 1, "\\u0061": 2}', "a"),
        (b'{"a\\u0022": 1, "a\\"": 2}', 'a"'),
        (b'{"a": "\\u0022\\u0022", "b": 1, "b": 2}', "b"),
        ('{"\u00e9": 1, "\\u00e9": 2}'.encode(), "\u00e9"),
        (b'{"%s": 1, "%s": 2}' % (b"n" * 100, b"n" * 100), "n" * 60 + "\u2026"),
    ],
)
def test_a_member_that_is_given_twice_is_refused_at_any_depth(body: bytes, member: str) -> None:
    assert refusal(body) == f"{member} is given twice in one object; give it once"


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}, {"x": 1}]}',
        b'{"a": "a", "A": "a", "a ": "\\"a\\": 1, \\"a\\": 2"}',
        b'{"a": "\\u0022", "b": "\\\\u0022"}',
        b'{"\\u0061": "\\u00e9\\/", "b": 1.50, "c": 1E5, "d": -0.0}',
    ],
)
def test_members_that_only_look_alike_are_taken(text: bytes) -> None:
    assert parse(text) == json.loads(text)


names = st.sampled_from('ab"\\\u00e9')
# Bounded: of values that may hold any number of values most would be given up as endless.
written: st.SearchStrategy[object] = st.recursive(
    st.integers(0, 9) | st.text('ab"\\:{}\u00e9', max_size=3),
    lambda inner: st.lists(st.tuples(names, inner)) | st.lists(inner),
    max_leaves=20,
)
pairs = st.lists(st.tuples(names, written))


def as_json(value: Any, *, escaped: bool) -> tuple[str, bool]:  # noqa: ANN401 - any JSON value
    """The value as JSON, a list of pairs as an object, and whether one has a member twice."""
    if isinstance(value, list):
        each = [as_json(one, escaped=escaped) for one in value]
        twice = any(inner for _, inner in each)
        if not value or not isinstance(value[0], tuple):
            return f"[{','.join(text for text, _ in each)}]", twice
        twice = twice or len({name for name, _ in value}) < len(value)
        return f"{{{' , '.join(text for text, _ in each)}}}", twice
    if isinstance(value, tuple):
        (name, _), (inner, twice) = (as_json(one, escaped=escaped) for one in value)
        return f"{name} : {inner}", twice
    if isinstance(value, str) and escaped:
        return '"' + "".join(f"\\u{ord(char):04x}" for char in value) + '"', False
    return json.dumps(value, ensure_ascii=False), False


@settings(deadline=None, max_examples=60)
@given(pairs, st.booleans())
def test_a_body_is_refused_if_and_only_if_a_member_is_given_twice(
    value: object,
    escaped: bool,  # noqa: FBT001 - drawn
) -> None:
    text, twice = as_json(value, escaped=escaped)
    try:
        assert parse(text.encode()) == json.loads(text)
        assert not twice
    except InvalidJSONError:
        assert twice


@settings(deadline=None)
@given(values(storable_texts, st.integers(-MAX - 1, MAX)))
def test_whatever_fits_comes_back_the_same(value: object) -> None:
    assert parse(dumps(value)) == value
    assert parse(json.dumps(value).encode()) == value  # the same, with every escape there is


@settings(deadline=None)
@given(values(texts, st.integers(-(2**70), 2**70)))
def test_what_does_not_fit_is_refused_and_never_changed(value: object) -> None:
    body = json.dumps(value).encode()
    try:
        assert parse(body) == value
    except InvalidJSONError:
        digits = [int(number) for number in re.findall(rb"-?\d{19,}", body)]
        assert b"\\u0000" in body or any(not -MAX - 1 <= number <= MAX for number in digits)


@settings(deadline=None)
@given(st.binary() | texts.map(str.encode))
def test_no_bytes_do_worse_than_to_be_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except InvalidJSONError:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize("number", [MAX, -MAX - 1, 10**18, 0, -1])
def test_an_integer_of_64_bits_is_taken(number: int) -> None:
    assert parse(b"%d" % number) == number


@pytest.mark.parametrize("number", [MAX + 1, -MAX - 2, 2**64, 10**19, 10**300, -(10**21)])
def test_a_longer_integer_is_refused_instead_of_rounded(number: int) -> None:
    assert "does not fit in signed 64 bits; send it as a string" in refusal(b"[%d]" % number)


@pytest.mark.parametrize(
    "body", [b'"12345678901234567890"', b"0.12345678901234567890", b"1234567890123456789012e-3"]
)
def test_many_digits_are_no_long_integer_everywhere(body: bytes) -> None:
    assert parse(body) == json.loads(body)


def test_the_nul_character_is_refused_and_its_escaped_escape_is_not() -> None:
    assert "NUL" in refusal(rb'{"a": ["x\u0000"]}')
    assert "NUL" in refusal(rb'{"x\u0000": 1}')
    assert parse(rb'"\\u0000"') == r"\u0000"
    assert "NUL" in refusal(rb'"\\\u0000"')


@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_nesting_ends_at_the_limit(pair: str) -> None:
    opening = "[" if pair == "[]" else '{"a":'
    closing = pair[1]
    inner = (opening * (MAX_DEPTH - 1) + "1" + closing * (MAX_DEPTH - 1)).encode()
    assert parse(b"[" + inner + b"]") is not None
    assert refusal(b"[[" + inner + b"]]") == f"the body has more than {MAX_DEPTH} levels of nesting"


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    body = b"[" + b"[],{}," * 1_000 + b'"[[[["]'
    assert len(parse(body)) == 2_001


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is empty; it must be a JSON object"),
        (b"\xff", "the body is not UTF-8: invalid start byte at byte 0"),
        (b"{", "the body is not valid JSON: "),
        (b"NaN", "the body is not valid JSON: "),
        (b'"\\ud800"', "the body is not valid JSON: "),
    ],
)
def test_a_refusal_says_what_is_wrong(body: bytes, sentence: str) -> None:
    assert refusal(body).startswith(sentence)
