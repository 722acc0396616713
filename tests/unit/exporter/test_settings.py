"""Settings are read once, checked as a whole, and say what is wrong in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_usage_exporter.config import Address, load_settings, parse_address, setting_names
from ai_usage_exporter.errors import PermanentError


def test_defaults_listen_on_loopback_only() -> None:
    settings = load_settings({})
    assert str(settings.otlp_grpc_listen) == "127.0.0.1:4317"
    assert str(settings.otlp_http_listen) == "127.0.0.1:4318"
    assert str(settings.api_listen) == "127.0.0.1:8080"
    assert all(a.is_loopback for a in (settings.otlp_grpc_listen, settings.otlp_http_listen, settings.api_listen))


def test_an_unknown_setting_is_named_with_the_nearest_valid_one() -> None:
    with pytest.raises(PermanentError, match=r"unknown setting AI_USAGE_OTLP_GRPC_LISTN: .*AI_USAGE_OTLP_GRPC_LISTEN"):
        load_settings({"AI_USAGE_OTLP_GRPC_LISTN": "x"})


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(PermanentError) as caught:
        load_settings({"AI_USAGE_API_LISTEN": "nowhere", "AI_USAGE_LOG_LEVEL": "loud", "AI_USAGE_TYPO": "1"})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert [
        name
        for line in lines
        for name in ("AI_USAGE_TYPO", "AI_USAGE_API_LISTEN", "AI_USAGE_LOG_LEVEL")
        if name in line
    ]


def test_settings_of_the_app_side_do_not_stop_the_server() -> None:
    load_settings({"AI_USAGE_INSTRUMENTATION_STREAM_USAGE": "false"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"AI_USAGE_DATABASE_URL": "postgres://a", "DATABASE_URL": "postgres://b"}, "postgres://a"),
        ({"DATABASE_URL": "postgres://b"}, "postgres://b"),
        ({"AI_USAGE_DATABASE_URL": "", "DATABASE_URL": ""}, None),
    ],
)
def test_our_own_database_url_wins_over_the_common_one(environ: dict[str, str], expected: str | None) -> None:
    url = load_settings(environ).database_url
    assert (url.get_secret_value() if url else None) == expected


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("2.5", 2.5), ("forever", None), ("Forever", None)])
def test_a_database_is_waited_for_some_seconds_or_forever(text: str, seconds: float | None) -> None:
    assert load_settings({"AI_USAGE_DATABASE_WAIT": text}).database_wait == seconds


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "ever"])
def test_a_wait_that_is_no_time_is_an_error_naming_it(text: str) -> None:
    with pytest.raises(PermanentError, match="AI_USAGE_DATABASE_WAIT"):
        load_settings({"AI_USAGE_DATABASE_WAIT": text})


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = load_settings({"AI_USAGE_DATABASE_URL": "postgres://u:hunter2@h/d", "AI_USAGE_ADMIN_TOKEN": "t" * 20})
    assert "hunter2" not in repr(settings)
    assert "tttt" not in repr(settings)


def test_command_line_options_win_over_the_environment() -> None:
    settings = load_settings({"AI_USAGE_DATA_DIR": "/a"}, data_dir="/b", api_listen=None)
    assert settings.data_dir == Path("/b")


@given(st.integers(0, 65535), st.sampled_from(["127.0.0.1", "localhost", "10.0.0.1", "::1", "example.com"]))
def test_addresses_read_back_as_they_are_written(port: int, host: str) -> None:
    assert parse_address(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize("text", ["", "4317", "host", "host:", "host:x", "host:65536", "host:-1"])
def test_a_bad_address_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        parse_address(text)


def test_every_setting_is_in_the_readme_table() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert [name for name in setting_names() if f"`{name}`" not in readme] == []
