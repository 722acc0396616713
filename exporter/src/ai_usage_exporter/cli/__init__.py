"""The command ``ai-usage``: one module a command, loaded only when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Final

import click

from ai_usage_exporter.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Command → module:attribute. Help lists them in this order.
_COMMANDS: Final = {
    "serve": "ai_usage_exporter.cli.serve:serve",
    "demo": "ai_usage_exporter.cli.demo:demo",
    "migrate": "ai_usage_exporter.cli.migrate:migrate",
    "summary": "ai_usage_exporter.cli.summary:summary",
    "top": "ai_usage_exporter.cli.summary:top",
    "logs": "ai_usage_exporter.cli.logs:logs",
    "verify": "ai_usage_exporter.cli.verify:verify",
    "doctor": "ai_usage_exporter.cli.doctor:doctor",
    "prices": "ai_usage_exporter.cli.prices:prices",
    "audit": "ai_usage_exporter.cli.audit:audit",
    "keys": "ai_usage_exporter.cli.keys:keys",
    "users": "ai_usage_exporter.cli.users:users",
    "quarantine": "ai_usage_exporter.cli.quarantine:quarantine",
}


class _Commands(click.Group):
    """Load a command's module when it is asked for: ``ai-usage --help`` should not import a web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):  # pragma: no cover - a slip in the table above
            raise TypeError(f"{_COMMANDS[cmd_name]} is no command")
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ai-usage-exporter", prog_name="ai-usage")
def cli() -> None:
    """Account for AI calls on OpenTelemetry: receive spans, keep exact usage and cost, answer questions.

    Settings come from AI_USAGE_… environment variables; data goes to stdout, words and progress to stderr.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0 (done), 1 (failed), 2 (wrong use) or 130 (interrupted)."""
    try:
        code = cli.main(args=arguments, prog_name="ai-usage", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (PermanentError, RetryableError) as error:
        from ai_usage_exporter.cli.output import say

        for line in str(error).splitlines():
            say(f"ai-usage: {line}", style="red")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
