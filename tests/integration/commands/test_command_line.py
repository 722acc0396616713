"""What every command has in common: exit codes, errors in one line, colours, pipes, completion."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from ai_usage_exporter.cli import cli, main

AI_USAGE = str(Path(sys.executable).with_name("ai-usage"))
COLOUR = re.compile(r"\x1b\[[0-9;]*[39][0-7]m")

QUESTIONS = ("summary", "top", "logs", "verify", "audit")


@pytest.mark.parametrize("command", QUESTIONS)
def test_a_database_that_is_away_is_one_red_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", "postgresql://ann:secret@127.0.0.1:1/usage")

    with pytest.raises(SystemExit) as exit_:
        main([command])

    assert exit_.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ai-usage: cannot reach database 127.0.0.1:1/usage")
    assert len(err.splitlines()) == 1
    assert "secret" not in err


@pytest.mark.parametrize("command", QUESTIONS)
def test_a_database_without_tables_is_one_line_with_the_fix(
    command: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", empty_database_url)

    with pytest.raises(SystemExit) as exit_:
        main([command])

    assert exit_.value.code == 1
    assert "run ai-usage migrate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["summary", "--help"], 0),
        (["nonsense"], 2),
        (["logs", "-n", "0"], 2),
        (["top", "--by", "x"], 2),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)

    assert exit_.value.code == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], *, is_coloured: bool) -> None:
    leader, follower = pty.openpty()
    variables = os.environ | {"TERM": "xterm-256color", "AI_USAGE_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    variables.pop("NO_COLOR", None)
    for command in ("doctor", "summary"):
        process = subprocess.Popen(
            [AI_USAGE, command], stdin=follower, stdout=follower, stderr=follower, env=variables | environment
        )
        shown = b""
        while not (ended := process.poll() is not None) or _is_readable(leader):
            if _is_readable(leader):
                shown += os.read(leader, 65_536)
        assert ended
        assert process.returncode == 1
        assert bool(COLOUR.search(shown.decode())) == is_coloured
    os.close(leader)
    os.close(follower)


def _is_readable(descriptor: int) -> bool:
    import select

    return bool(select.select([descriptor], [], [], 0.05)[0])


async def test_a_reader_that_has_seen_enough_gets_no_traceback(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "SET ai_usage.rollups = 'applied'; INSERT INTO ai_usage_logs (created_at, service_name, provider, model) "
        "SELECT now() - interval '1 hour', repeat('s', 100), 'p', 'm' FROM generate_series(1, 5000)"
    )
    await connection.close()

    shell = subprocess.run(
        ["bash", "-c", f"'{AI_USAGE}' logs -n 5000 --csv | head -n 1; echo ${{PIPESTATUS[0]}}"],
        env=os.environ | {"AI_USAGE_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=True,
    )

    header, code = shell.stdout.splitlines()
    assert header.startswith("id,created_at,")
    assert code == "1"
    assert shell.stderr == ""


def complete(words: str) -> set[str]:
    """Return what the shell is offered after some words."""
    shell = subprocess.run(
        [AI_USAGE],
        env=os.environ
        | {"_AI_USAGE_COMPLETE": "zsh_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(shell.stdout.splitlines()[1::3])


def test_commands_and_their_options_and_choices_are_completed() -> None:
    assert complete("ai-usage ") >= set(cli.list_commands(cli.make_context("ai-usage", [], resilient_parsing=True)))
    assert complete("ai-usage su") == {"summary"}
    assert complete("ai-usage top --so") == {"--sort"}
    assert "avg_duration_ms" in complete("ai-usage top --sort ")


def test_bash_takes_the_completion() -> None:
    shell = subprocess.run(
        ["bash", "-c", 'eval "$(_AI_USAGE_COMPLETE=bash_source ai-usage)" && complete -p ai-usage'],
        env=os.environ | {"PATH": f"{Path(AI_USAGE).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shell.stdout.startswith("complete ")
