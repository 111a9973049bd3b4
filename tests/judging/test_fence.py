import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribe_core.judging.fence import GUTTER, fenced, neutral, new_mark

HIDDEN = ["\u200b", "\u202e", "\U000e0041", "\x00", "\x1b", "\ufe0f", "\u3164", "\u00ad", "\ud800", "\u2066"]
LINE_BREAKS = ["\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<start_of_turn>",
    "<end_of_turn>", "<think>", "</think>", "<\uff5cUser\uff5c>", "[TOOL_RESULTS]", "<|channel|>",
]  # fmt: skip


@pytest.mark.parametrize("character", HIDDEN)
def test_what_hides_is_shown(character):
    shown = neutral(f"a{character}b").text
    assert character not in shown
    assert shown == f"a\\u{{{ord(character):x}}}b"


@pytest.mark.parametrize("line_break", LINE_BREAKS)
def test_every_line_break_is_one(line_break):
    assert neutral(f"a{line_break}b").text == "a\nb"


@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_are_broken_up(token):
    text = neutral(f"before {token} after").text
    assert token not in text
    assert text.replace("\\", "") == f"before {token} after"


@pytest.mark.parametrize(
    "text", ["Zürich 東京 Привет 😀", "if a < b and c > d: x[0] | y", "<city>Paris</city>", "tab\there"]
)
def test_ordinary_text_stays_as_it_is(text):
    assert neutral(text).text == text


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_nothing_leaves_the_fence(text):
    mark = new_mark()
    first, *lines, last = fenced(neutral(text).text, mark).split("\n")
    assert (first, last) == (f"[begin {mark}]", f"[end {mark}]")
    assert lines
    assert all(line.startswith(GUTTER) for line in lines)
    assert not re.search(r"[\r\x0b\x0c\x85\u2028\u2029]", "".join(lines))


@given(st.text(alphabet=st.characters(exclude_categories=("C", "M")), max_size=80), st.data())
def test_a_quote_is_found_again_in_the_original(text, data):
    shown = neutral(text)
    start = data.draw(st.integers(0, len(shown.text)))
    end = data.draw(st.integers(start, len(shown.text)))
    quote = shown.text[start:end]
    if len("".join(quote.split())) < 3 or any(line.startswith("|") for line in quote.split("\n")):
        return
    found = shown.locate(quote)
    assert found is not None
    assert found in text


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("clear sky", "clear\u200b  sky"),
        ("sky over Paris", "sky\nover Paris"),
        ("| sky\n| over Paris", "sky\nover Paris"),
        ("  over Paris ", "over Paris"),
        ("over Rome", None),
        ("a", None),
        ("", None),
        ("   ", None),
    ],
)
def test_quotes(quote, found):
    assert neutral("a clear\u200b  sky\nover Paris").locate(quote) == found


def test_a_quote_of_what_was_made_visible():
    assert neutral("a clear\u200b sky").locate("clear\\u{200b} sky") == "clear\u200b sky"


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("It\u2019s \u201cfine\u201d", 'It\'s "fine"'),
        ("a cle\u200bar sky", "clear sky"),
        ("a cle\u200bar sky", "cle\\u{200b}ar  sky"),
        ("caf\u00e9 au lait", "cafe\u0301 au lait"),
        ("\uff37\uff41\uff49\uff54 here", "Wait here"),
        ("the \ufb01rst one", "first one"),
    ],
)
def test_a_quote_that_was_tidied_is_found(text, quote):
    found = neutral(text).locate(quote)
    assert found is not None
    assert found in text


@pytest.mark.parametrize(
    "quote", ["\u200b\u200b\u200b", "\u0301\u0301\u0301", "\\u{200b}", "cl ear sky", "CLEAR SKY"]
)
def test_tidying_makes_no_quote_of_nothing(quote):
    assert neutral("a clear sky \u200b\u200b\u200b e\u0301\u0301\u0301").locate(quote) is None


def test_marks_differ():
    assert len({new_mark() for _ in range(1000)}) == 1000
