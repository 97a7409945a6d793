"""JSON in and out: what is taken comes back the same, and the rest is refused in words."""

import json
import re

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
    assert "does not fit in 64 bits; send it as a string" in refusal(b"[%d]" % number)


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
