"""`schema`: the published JSON Schema of scenarios, and the reference made from it."""

from __future__ import annotations

import click

from simcore.plugins import Plugins
from simcore.scenario import published_schema
from simcore.scenario.reference import reference, schema_text


@click.command("schema")
@click.option("--reference", "as_text", is_flag=True, help="Print the Markdown reference instead.")
def command(as_text: bool) -> None:
    """Print the JSON Schema of scenarios, with the plug-ins that are installed.

    Editors use it for completion: save it, and begin the YAML file with
    `# yaml-language-server: $schema=scenario.schema.json`.
    """
    schema = published_schema(Plugins())
    click.echo(reference(schema) if as_text else schema_text(schema), nl=False)
