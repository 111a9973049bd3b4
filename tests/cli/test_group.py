import re
import signal
import subprocess
import sys

import pytest

from scribe_core.cli.main import COMMANDS, cli, main
from scribe_core.errors import ConfigError, DataError, RunError, ScribeError


class TestHelp:
    def test_lists_every_command_with_its_help(self, done):
        shown = done("--help")
        for name, (_, text) in COMMANDS.items():
            assert re.search(rf"^  {name} +{re.escape(text)}$", shown, re.MULTILINE)
        assert "Exit codes: 0 done, 1 the work failed, 2 the input or the config is wrong." in shown

    def test_without_a_command_is_shown(self, done):
        assert done() == done("-h") == done("--help")

    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_each_command_begins_with_its_line_in_the_list(self, done, name):
        shown = done(name, "--help")
        assert shown.startswith(f"Usage: scribe {name} ")
        assert COMMANDS[name][1] in " ".join(shown.split())

    def test_imports_no_part_and_nothing_heavy(self):
        code = """
import sys
from scribe_core.cli.main import main
main(["--help"])
print(*sorted(sys.modules), file=sys.stderr)
"""
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        heavy = {"rich", "structlog", "yaml", "jsonschema", "torch", "transformers", "asyncio"}
        assert heavy.isdisjoint(result.stderr.split())
        assert not [
            name
            for name in result.stderr.split()
            if name.startswith(("scribe_core.types", "scribe_core.config"))
        ]

    def test_version(self, done):
        assert re.fullmatch(r"scribe, version \d+\.\d+\.\d+\n", done("--version"))


class TestExitCodes:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (ConfigError("a: wrong\nb: wrong"), 2),
            (DataError("a: wrong\nb: wrong"), 2),
            (RunError("a: wrong\nb: wrong"), 1),
            (ScribeError("a: wrong\nb: wrong"), 1),
        ],
    )
    def test_our_errors_are_lines_on_stderr(self, monkeypatch, capsys, error, code):
        def fail(_):
            raise error

        monkeypatch.setattr(cli, "invoke", fail)
        assert main(["plugins"]) == code
        assert capsys.readouterr() == ("", "scribe: error: a: wrong\nscribe: error: b: wrong\n")

    @pytest.mark.parametrize(
        "error", [OSError(28, "No space left on device"), ModuleNotFoundError("No module x")]
    )
    def test_what_the_machine_lacks_is_one_line(self, monkeypatch, capsys, error):
        def fail(_):
            raise error

        monkeypatch.setattr(cli, "invoke", fail)
        assert main(["plugins"]) == 1
        assert capsys.readouterr() == ("", f"scribe: error: {type(error).__name__}: {error}\n")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["trian"], "there is no command 'trian'; did you mean 'train'?"),
            (["--wrong"], "No such option"),
            (["train"], "Missing argument 'CONFIG...'"),
            (["score", "a", "b"], "Got unexpected extra argument (b)"),
            (["plugins", "judge"], "there are no parts of kind 'judge'; did you mean 'judges'?"),
            (["train", "missing.toml"], "missing.toml: cannot be read: No such file or directory"),
            (["score", "missing.jsonl"], "no installed plugin offers"),
            (["validate", "missing.toml", "--set", "x"], "missing.toml: cannot be read"),
        ],
    )
    def test_wrong_input_is_2(self, refused, tmp_path, arguments, message):
        assert message in refused(*arguments, cwd=tmp_path, SCRIBE_BLOCK="scribe-skills")

    def test_an_interrupt_is_130_and_one_line(self, started, config):
        with started("score", "-", "--config", config) as process:
            # The first score shows that it is at work, waiting for more lines.
            process.stdin.write(b"not json\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(b'{"id": null, "line": 1')
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
            assert process.stderr.read().decode().strip() == "scribe: error: interrupted"

    def test_a_reader_that_goes_away_is_no_error_message(self, started, config, trajectory, lines):
        path = lines(*[trajectory(f"t{n}") for n in range(2000)])
        with started("score", path, "--config", config) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(timeout=60) == 1

    @pytest.mark.parametrize(
        ("command", "code", "told"),
        [
            (
                "score in.jsonl --config scorer.toml >&-",
                2,
                "stdout is closed; write to a file with --out FILE",
            ),
            ("score - --config scorer.toml <&-", 2, "-: stdin is closed; give a file, or a pipe"),
            (
                "score in.jsonl --config scorer.toml --out out >&-",
                0,
                "1 trajectories scored, 0 bad lines: out",
            ),
            (
                "score in.jsonl --config scorer.toml >/dev/full",
                1,
                "OSError: [Errno 28] No space left on device",
            ),
            ("plugins >/dev/full", 1, "OSError: [Errno 28] No space left on device"),
            ("plugins >&-", 0, ""),
            ("score missing.jsonl 2>&-", 2, ""),
            ("score missing.jsonl 2>/dev/full", 2, ""),
            ("--help | true", 0, ""),
        ],
    )
    def test_streams_that_are_closed_or_full(self, shell, config, trajectory, lines, command, code, told):
        lines(trajectory("a"), name="in.jsonl")
        result = shell(f"scribe {command}")
        assert (result.returncode, result.stdout) == (code, "")
        assert result.stderr.removeprefix("scribe: error: ").strip() == told


class TestPluginCommands:
    def test_are_listed_and_run(self, done):
        shown = done("--help", plugins=["command"])
        assert re.search(r"Commands of plugins:\n  hello +Say hello\.\n", shown)
        assert "A second paragraph" not in shown
        assert done("hello", plugins=["command"]) == "hello\n"
        assert done("scribe-command/hello", plugins=["command"]) == "hello\n"

    def test_that_cannot_be_built_are_one_line(self, refused):
        shown = refused("raises", plugins=["command"], code=1)
        assert shown == "the command 'raises' of scribe-command 1.0 cannot be built: no luck"
        assert "is not a click command" in refused("no-command", plugins=["command"], code=1)

    def test_do_not_replace_those_of_core(self, done):
        assert "no problems" in done("doctor", plugins=[])
        assert done("scribe-clash/doctor", plugins=["clash"]) == "the plugin's doctor\n"
        assert "doctor" not in done("--help", plugins=["clash"]).partition("Commands of plugins")[2]
