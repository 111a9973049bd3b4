import pytest
from scribe_programs_calls import dates, gazetteer, numbers
from scribe_programs_calls.dates import Date
from scribe_programs_calls.mentions import mentions
from scribe_programs_calls.source import is_acronym, read_source, share_of_words, states_number, states_text
from scribe_programs_calls.words import fold, is_latin, name_words, stem, words


def test_folding_makes_spellings_alike() -> None:
    assert fold("Zürich’s CAFÉ – №") == "zurich's cafe - no"  # noqa: RUF001
    assert words("New York's 2nd Café!") == ["new", "york", "2", "nd", "cafe"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("getTopCities_v2", ["get", "top", "cities", "v", "2"]),
        ("math.gcd", ["math", "gcd"]),
        ("HTTPRequest", ["http", "request"]),
    ],
)
def test_words_of_identifiers(name: str, expected: list[str]) -> None:
    assert name_words(name) == expected


@pytest.mark.parametrize(
    "forms",
    [
        ("city", "cities"),
        ("classic", "classical"),
        ("mile", "miles"),
        ("calculate", "calculating", "calculated"),
    ],
)
def test_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize(
    "pair", [("paris", "parrot"), ("boston", "london"), ("height", "weight"), ("four", "five")]
)
def test_different_words_keep_different_stems(pair: tuple[str, str]) -> None:
    assert stem(pair[0]) != stem(pair[1])


def test_scripts() -> None:
    assert is_latin("Qual a temperatura em Divinópolis?")
    assert not is_latin("北京的天气怎么样")
    assert is_latin("123")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a radius of 5", 5),
        ("b=-3", -3),
        ("minus 3 degrees", -3),
        ("1,234,567.5 dollars", 1234567.5),
        ("$2000", 2000),
        ("1e-9 coulombs", 1e-9),
        ("6.5 x 10^3", 6500),
        ("5%", 0.05),
        ("5 percent", 5),
        ("an interest of 4.5%", 0.045),
        ("2 million people", 2_000_000),
        ("2.5k", 2500),
        ("298K", 298),
        ("10m", 10),
        ("two dozen eggs", 24),
        ("a dozen", 12),
        ("twenty-five", 25),
        ("three hundred", 300),
        ("a two-bedroom flat", 2),
        ("a ninety dollar payment", 90),
        ("half of it", 0.5),
        ("3/4 of a cup", 0.75),
        ("next week", 7),
        ("2 weeks", 14),
        ("3 hours", 180),
        ("10 minutes", 600),
        ("[200,300,400]", 300),
        ("2018-2019", 2019),
        ("the 3rd", 3),
        ("3.2 km", 3200),
    ],
)
def test_numbers_that_a_text_states(text: str, value: float) -> None:
    assert states_number(read_source(text), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("b=-3", 3), ("a radius of 5", 6), ("1,234", 12), ("twenty-five", 520), ("", 0), ("one", float("nan"))],
)
def test_numbers_that_a_text_does_not_state(text: str, value: float) -> None:
    assert not states_number(read_source(text), value)


def test_where_numbers_stand_and_what_follows() -> None:
    (mention,) = numbers.mentions("weighs 80 kg")
    assert (mention.value, mention.start, mention.end, mention.unit) == (80, 7, 9, "kg")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2022-03-10",
            "03/10/2022",
            "March 10, 2022",
            "March 10th 2022",
            "10 March 2022",
            "the 10th of March 2022",
        ),
        *("Mar.10,2022", "10.3.2022", "2022/3/10"),
    ],
)
def test_dates(text: str) -> None:
    assert any(dates.agrees(Date(2022, 3, 10), date) and date.day for date in dates.dates(text))


def test_dates_that_differ_do_not_agree() -> None:
    assert not any(dates.agrees(Date(2022, 4, 11), date) for date in dates.dates("March 10, 2022"))
    assert dates.agrees(Date(2022, 3, 10), Date(0, 3, 10))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        *(
            ("at 5 pm", (17, 0)),
            ("7:30 pm", (19, 30)),
            ("19:30", (19, 30)),
            ("10:00 in the morning", (10, 0)),
        ),
        *(("noon", (12, 0)), ("at midnight", (0, 0)), ("5 o'clock", (17, 0)), ("12 am", (0, 0))),
    ],
)
def test_times(text: str, time: tuple[int, int]) -> None:
    assert time in dates.times(text)


@pytest.mark.parametrize("text", ["tomorrow", "next Friday", "this week", "3 days ago", "Today is May 5"])
def test_relative_days(text: str) -> None:
    assert dates.is_relative(text)


def test_absolute_days_are_not_relative() -> None:
    assert not dates.is_relative("on March 10, 2022")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("nyc", "new york"),
        ("ca", "california"),
        ("usd", "dollar"),
        ("km", "kilometer"),
        ("uk", "united kingdom"),
        ("miles", "mi"),
    ],
)
def test_other_names(one: str, other: str) -> None:
    assert other in gazetteer.others(one)


def test_no_other_name_for_what_has_none() -> None:
    assert gazetteer.others("zzz") == frozenset()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lawsuits of the ABC Ltd.", "abc ltd"),
        ("the L.A. Lakers", "LA Lakers"),
        ("a gluten-free diet", "Gluten Free"),
        ("id `rs6034464`", "RS6034464"),
    ],
)
def test_phrases_in_any_spelling(text: str, value: str) -> None:
    assert states_text(read_source(text), value)


@pytest.mark.parametrize(
    ("text", "value", "share"),
    [
        ("a trip to NYC", "New York City", 1.0),
        ("flights from San Francisco", "SF", 1.0),
        ("classical concerts in Rome", "Classical concert", 1.0),
        ("the weather in Chcicago", "Chicago", 1.0),
        ("a hotel in Boston", "Boston, MA", 0.5),
        ("a hotel in Boston", "Denver", 0.0),
    ],
)
def test_share_of_words(text: str, value: str, share: float) -> None:
    assert share_of_words(read_source(text), value) == pytest.approx(share)


def test_acronyms_both_ways() -> None:
    assert is_acronym(read_source("a gcd"), "greatest common divisor")
    assert is_acronym(read_source("the Gross Domestic Product of India"), "GDP")
    assert not is_acronym(read_source("the weather in Oslo"), "GDP")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Find 'Blue Heron' in Rome for 4 people",
            [("quoted", "Blue Heron"), ("name", "Rome"), ("number", "4")],
        ),
        ("Order 6E123 is late", [("code", "6E123")]),
        ("Meet on March 10, 2022 at 5 pm", [("date", "March 10, 2022"), ("date", "5 pm")]),
        ("What is m/s^2 of Car A?", []),
        ("1. Find it\n2. Sort it", []),
        ("The first and the 2nd", []),
        ("at 25 MPG", [("number", "25")]),
        ("John has 3 apples", [("number", "3")]),
        ("'all of this is quoted'", []),
        (
            "the University of Oslo and the Louvre Museum",
            [("name", "University of Oslo"), ("name", "Louvre Museum")],
        ),
    ],
)
def test_mentions(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(mention.kind, mention.text) for mention in mentions(text)] == expected
