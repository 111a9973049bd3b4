"""Signs of pleas: the cheap look before a search misses nothing that the search would find."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribe_core.judging.plea_phrases import HEADS, PHRASES, heads
from scribe_core.judging.plea_signs import _TURNED, _TURNS, _WORDS, fold, signs


@pytest.mark.parametrize("name", PHRASES)
@settings(max_examples=60)
@given(data=st.data())
def test_what_a_phrase_matches_has_one_of_its_heads(name, data):
    text = data.draw(st.from_regex(PHRASES[name]))
    assert heads(text) & {*HEADS[name].split()}


@given(st.from_regex(_WORDS))
def test_words_are_found_wherever_they_stand(text):
    assert signs(text) >= {match[0] for match in _WORDS.finditer(fold(text.strip()))}


@pytest.mark.parametrize("turn", _TURNS)
@given(text=st.from_regex(re.compile(_TURNED.pattern, re.ASCII), alphabet=st.characters(max_codepoint=126)))
def test_turned_words_are_found_wherever_they_stand(turn, text):
    found = {f"turned {match[0]}" for match in _TURNED.finditer(turn(fold(turn(text).strip())))}
    assert signs(turn(text)) >= found
