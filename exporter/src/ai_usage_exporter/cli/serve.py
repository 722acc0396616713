"""``ai-usage serve``: the server."""

from __future__ import annotations

import click

from ai_usage_exporter.config import load_settings, parse_address
from ai_usage_exporter.log_format import configure_logging
from ai_usage_exporter.server import Part
from ai_usage_exporter.supervisor import run_server


class AddressType(click.ParamType[str]):
    """Check ``host:port`` on the command line."""

    name = "host:port"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value when it is an address."""
        try:
            parse_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


@click.command()
@click.option("--only", type=click.Choice([part.value for part in Part]), help="Run one half: the receiver or the API.")
@click.option("--data-dir", type=click.Path(), help="Where the embedded PostgreSQL lives (AI_USAGE_DATA_DIR).")
@click.option("--grpc", "otlp_grpc_listen", type=AddressType(), help="OTLP over gRPC (AI_USAGE_OTLP_GRPC_LISTEN).")
@click.option("--http", "otlp_http_listen", type=AddressType(), help="OTLP over HTTP (AI_USAGE_OTLP_HTTP_LISTEN).")
@click.option("--api", "api_listen", type=AddressType(), help="API and page (AI_USAGE_API_LISTEN).")
def serve(only: str | None, **overrides: str | None) -> None:
    """Receive OTLP, keep exact usage and cost in PostgreSQL, serve the API and the page.

    Runs until SIGTERM or Ctrl-C, then finishes what is in flight and exits with 0.
    """
    settings = load_settings(None, **overrides)
    configure_logging(settings.log_level)
    run_server(settings, only=Part(only) if only else None)
