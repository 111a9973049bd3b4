import json
import re

import pytest


class TestPlugins:
    def test_json_lists_every_part_with_dist_version_and_options(self, done):
        rows = json.loads(done("plugins", "--json"))
        (judge,) = [row for row in rows if (row["kind"], row["name"]) == ("aggregators", "weighted")]
        assert judge["dist"] == "scribe-core"
        assert judge["version"]
        assert judge["summary"].endswith(".")
        assert judge["options"][0] == {
            "name": "process",
            "type": "float",
            "required": False,
            "default": 0.3,
            "help": "",
        }

    def test_one_kind_is_shown_with_its_options(self, done):
        shown = done("plugins", "environments")
        assert (
            "greetings  (scribe-works 1.0)\n  Tasks that ask for a greeting.\n    count   int   default 3\n"
            "        Tasks of a split.\n    broken  bool  default false" in shown
        )
        assert {row["kind"] for row in json.loads(done("plugins", "tools", "--json"))} == {"tools"}

    def test_all_kinds_are_shown_by_name(self, done):
        assert re.search(
            r"^programs\n(  .*\n)*  polite +scribe-works 1\.0 +Whether the span says please\.$",
            done("plugins"),
            re.M,
        )


BAD = ["raises", "exits", "garbage"]


class TestBrokenPlugins:
    """A broken plugin beside the others changes nothing but `scribe doctor`."""

    @pytest.mark.parametrize("bad", ["raises", "exits"])
    @pytest.mark.parametrize(
        "arguments", [["--help"], ["plugins"], ["plugins", "--json"], ["train", "--help"]]
    )
    def test_change_no_output(self, scribe, done, bad, arguments):
        assert scribe(*arguments, plugins=["works", bad]).stdout == done(*arguments)

    @pytest.mark.parametrize("bad", BAD)
    def test_change_no_score(self, scribe, done, trajectory, lines, config, bad):
        path = lines(trajectory("a"), trajectory("b", "sit"))
        arguments = ["score", path, "--config", config]
        assert scribe(*arguments, plugins=["works", bad]).stdout == done(*arguments)

    def test_doctor_without_problems_exits_with_0(self, done):
        report = json.loads(done("doctor", "--json"))
        assert report["problems"] == report["notes"] == report["blocked"] == []
        assert {"scribe-core", "scribe-works"} <= {each.split()[0] for each in report["plugins"]}
        assert "no problems" in done("doctor")

    @pytest.mark.parametrize(
        ("bad", "message"),
        [("raises", "RuntimeError: this plugin raises on import"), ("exits", "SystemExit: 3")],
    )
    def test_doctor_shows_what_broke_with_its_traceback_and_exits_with_1(self, scribe, bad, message):
        result = scribe("doctor", plugins=["works", bad])
        assert result.returncode == 1
        assert f"problem: scribe-{bad} 1.0, entry point 'main': {message}\n    Traceback" in result.stdout
        assert f"{bad}/scribe_{bad}.py" in result.stdout
        result = scribe("doctor", "--json", plugins=["works", bad])
        (problem,) = json.loads(result.stdout)["problems"]
        assert (problem["dist"], problem["message"]) == (f"scribe-{bad}", message)

    def test_doctor_shows_options_that_nobody_can_read(self, scribe):
        result = scribe("doctor", "--json", plugins=["garbage"])
        messages = [problem["message"] for problem in json.loads(result.stdout)["problems"]]
        assert any("segmenters 'unreadable'" in text and "'Nowhere'" in text for text in messages)

    def test_a_default_that_cannot_be_made_is_shown_by_doctor_alone(self, scribe, done):
        result = scribe("doctor", "--json", plugins=["garbage"])
        messages = [problem["message"] for problem in json.loads(result.stdout)["problems"]]
        told = "segmenters 'unmade': the default of option 'number' cannot be made: ValueError: no luck"
        assert told in messages
        shown = scribe("plugins", "segmenters", plugins=["garbage"])
        assert shown.returncode == 0
        assert "    number  int  optional\n        Counts.\n" in shown.stdout
        assert "noise" not in result.stdout + shown.stdout

    def test_an_unknown_name_mentions_them(self, refused, config):
        shown = refused("validate", config, "--set", "policy.use=nothing", plugins=["exits"])
        assert "plugin scribe-exits 1.0 has a problem: SystemExit: 3" in shown
        assert "run `scribe doctor`" in shown

    def test_blocking_them_settles_it(self, done):
        assert "turned off by SCRIBE_BLOCK: scribe-exits, scribe-raises" in done(
            "doctor", plugins=["raises", "exits"], SCRIBE_BLOCK="scribe_raises,Scribe.Exits"
        )

    def test_a_clash_is_an_error_only_when_the_name_is_used(
        self, scribe, done, refused, trajectory, lines, config
    ):
        path = lines(trajectory("a"))
        plain = done("score", path, "--config", config)
        clash = ["works", "clash"]
        assert scribe("score", path, "--config", config, plugins=clash).stdout == plain
        shown = refused("score", path, "--config", config, "--set", "scorer.judge=programs", plugins=clash)
        assert "scorer.judge: 'programs' is offered by 2 plugins" in shown
        assert "'scribe-clash/programs' or 'scribe-core/programs'" in shown
        named = ["--set", "scorer.judge=scribe-core/programs"]
        assert scribe("score", path, "--config", config, *named, plugins=clash).stdout == plain
        assert "note: 'programs' is offered by 2 plugins" in scribe("doctor", plugins=clash).stdout
