"""The generated parts of ``docs/reference``: what the code says of itself (``python -m tests.docs.reference`` writes).

Everything after the marker of a page is made here; what stands before it is written by hand.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.cli import cli
from ai_usage_exporter.metrics import Metrics
from ai_usage_exporter.storage.reader import UsageReader

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs/reference"
MARKER = "<!-- From here on made from the code: make reference -->\n"


def pages() -> dict[str, str]:
    """Return page → its generated part."""
    return {"api.md": api_part(), "cli.md": cli_part(), "metrics.md": metrics_part()}


def api_part() -> str:
    """Return every route with its parameters, answers and errors, then the documents it answers with."""
    document = create_app(UsageReader(None), AdminToken("token"), Sessions(None)).openapi()  # type: ignore[arg-type]
    schemas = document["components"]["schemas"]
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    by_id = {operation["operationId"]: operation for _, operation in operations}
    shared = by_id["get_summary"]["parameters"]
    lines = ["## Period and filters", "", *_parameter_table(shared, schemas), ""]
    for name, operation in operations:
        lines += [f"## `{name}`", "", operation["description"], ""]
        parameters = operation.get("parameters", [])
        own = [parameter for parameter in parameters if parameter not in shared]
        if own:
            lines += [*_parameter_table(own, schemas), ""]
        if used := [parameter["name"] for parameter in parameters if parameter in shared]:
            lines += ["Takes the period and all filters." if len(used) == len(shared) else "Takes the period.", ""]
        lines += [f"Answers: {', '.join(_answers(operation))}.", ""]
    lines += ["## Documents", ""]
    for name, schema in schemas.items():
        if properties := schema.get("properties"):
            lines += [
                f"### {name}",
                "",
                schema.get("description", ""),
                "",
                "| field | type | meaning |",
                "|---|---|---|",
            ]
            lines += [f"| `{field}` | {_type(item)} | {_meaning(item)} |" for field, item in properties.items()]
            lines.append("")
    return "\n".join(lines)


def _parameter_table(parameters: list[dict[str, Any]], schemas: dict[str, Any]) -> Iterator[str]:
    yield "| parameter | type | default | meaning |"
    yield "|---|---|---|---|"
    for parameter in parameters:
        schema = parameter["schema"]
        default = f"`{schema['default']}`" if "default" in schema else "required" if parameter["required"] else ""
        place = " (in the path)" if parameter["in"] == "path" else ""
        kind = " ".join(_type(schema).removesuffix(" \\| null").split())
        for name, named in schemas.items():
            if "enum" in named:
                kind = kind.replace(name, _type(named))
        yield f"| `{parameter['name']}`{place} | {kind} | {default} | {_meaning(schema)} |"


def _answers(operation: dict[str, Any]) -> Iterator[str]:
    for status, response in operation["responses"].items():
        [(media_type, content), *_] = response.get("content", {"": {}}).items()
        kind = _type(content.get("schema", {})) if media_type == "application/json" else f"`{media_type}`"
        yield f"{status} {kind}" if status == "200" else f"{status} {response['description'].lower()}"


def _type(schema: dict[str, Any]) -> str:
    match schema:
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case {"enum": list(values)}:
            return " \\| ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"anyOf": list(choices)}:
            return " \\| ".join(_type(choice) for choice in choices)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map to {_type(values)}"
        case {"type": str(name), "format": str(form)}:
            return f"{name} ({form})"
        case {"type": "integer" | "number" as name} if "maximum" in schema:
            return f"{name}, {schema['minimum']} to {schema['maximum']}"
        case {"type": str(name)}:
            return name
        case _:
            return "object"


def _meaning(schema: dict[str, Any]) -> str:
    examples = [item for item in schema.get("examples", ()) if item not in (None, [], "", 0)]
    example = examples[0] if examples else ""
    if isinstance(example, list):
        example = ", ".join(map(str, example))
    shown = f"e.g. `{example}`" if example else ""
    return "; ".join(part for part in (schema.get("description", "").replace("|", "\\|"), shown) if part)


def cli_part() -> str:
    """Return the help of every command."""
    context = click.Context(cli, info_name="ai-usage", terminal_width=100, max_content_width=100)
    return "\n".join(_commands(cli, context))


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        command = copy.copy(found)
        command._help_option = None  # click keeps the one of whoever asked first, e.g. a test without the group
        inner = click.Context(command, info_name=name, parent=context, terminal_width=100, max_content_width=100)
        yield f"## `{inner.command_path}`\n\n```text\n{command.get_help(inner)}\n```\n"
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def metrics_part() -> str:
    """Return every metric that is ours."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in sorted(Metrics().registry.collect(), key=lambda item: item.name):
        if metric.name.startswith(("process_", "python_")):
            continue
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        name = f"{name}_info" if metric.type == "info" else name
        labels = sorted({label for sample in metric.samples for label in sample.labels} - {"le"})
        lines.append(
            f"| `{name}` | {metric.type} | {', '.join(f'`{label}`' for label in labels)} | {metric.documentation} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the generated parts."""
    for name, part in pages().items():
        path = FOLDER / name
        path.write_text(path.read_text("utf-8").partition(MARKER)[0] + MARKER + "\n" + part, "utf-8")


if __name__ == "__main__":
    main()
