"""`schema`: the published JSON Schemas, and the reference made from that of scenarios."""

from __future__ import annotations

import click

from simcore.plugins import Plugins
from simcore.protocol.schema import wire_schema_text
from simcore.scenario import published_schema
from simcore.scenario.reference import reference, schema_text


@click.command("schema")
@click.option("--reference", "as_text", is_flag=True, help="Print the Markdown reference instead.")
@click.option("--wire", is_flag=True, help="Print the schema of participants' frames instead.")
def command(as_text: bool, wire: bool) -> None:
    """Print the JSON Schema of scenarios, with the plug-ins that are installed.

    Editors use it for completion: save it, and begin the YAML file with
    `# yaml-language-server: $schema=scenario.schema.json`.
    """
    if wire and as_text:
        raise click.UsageError(
            "--wire has no reference: the protocol is described in docs/protocol.md"
        )
    if wire:
        click.echo(wire_schema_text(), nl=False)
        return
    schema = published_schema(Plugins())
    click.echo(reference(schema) if as_text else schema_text(schema), nl=False)
