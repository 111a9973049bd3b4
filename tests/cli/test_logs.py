import re

import pytest
import stamina
import structlog

from scribe_core.cli import logs


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(("verbose", "levels"), [(False, ["warning"]), (True, ["debug", "info", "warning"])])
def test_go_to_stderr_from_warnings_on(capsys, verbose, levels):
    logs.configure(verbose)
    logger = structlog.get_logger("scribe.test")
    for level in ("debug", "info", "warning"):
        getattr(logger, level)("happened", task="t1")
    out, err = capsys.readouterr()
    assert out == ""
    assert [re.search(r"\[(\w+) *\]", line)[1] for line in err.splitlines()] == levels
    assert "happened" in err
    assert "task=t1" in err
    assert "\x1b" not in err


@pytest.mark.parametrize(("verbose", "lines"), [(False, 0), (True, 2)])
def test_calls_that_are_made_again_are_routine(capsys, verbose, lines):
    failures = iter("no")

    def flaky():
        for failure in failures:
            raise ConnectionError(failure)

    logs.configure(verbose)
    stamina.retry(on=ConnectionError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)(flaky)()
    assert capsys.readouterr().err.count("retry_scheduled") == lines


def test_hide_keys_by_name_and_by_value(capsys, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "sk-verysecret")
    logs.configure()
    logger = structlog.get_logger("scribe.test")
    logger.warning("got 401 with sk-verysecret", api_key="abc-1", headers={"Authorization": "abc-2", "n": 1})
    logger.warning("list", values=["x sk-verysecret y", {"access_token": "abc-3"}], tokens=7, max_token="m")
    try:
        raise ValueError("bad header sk-verysecret")
    except ValueError:
        logger.exception("failed")
    shown = capsys.readouterr().err
    assert "sk-verysecret" not in shown
    assert not re.search("abc-[123]", shown)
    assert "got 401 with ***" in shown
    assert "ValueError: bad header ***" in shown
    assert "tokens=7" in shown


def test_how_far_judging_is_shows_without_verbose(capsys):
    logs.configure()
    structlog.get_logger("scribe.judge").info("judging", done="3 of 8", usd=0.25)
    shown = capsys.readouterr().err
    assert re.search(r"\[info *\] judging", shown)
    assert "done='3 of 8'" in shown
    assert "usd=0.25" in shown
