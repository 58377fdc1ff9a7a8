"""`trace`: one sample followed through all tiers, message by message and hop by hop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from simcore.cli.console import make_console
from simcore.results import show
from simcore.results.store import open_run
from simcore.results.trace import Chain, Hop, Traced
from simcore.results.trace import trace as find_chain
from simcore.units import show_exact

MOST = 100
"""Messages that are printed unless `--all` is given: one broadcast may lead to thousands."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("message")
@click.option("--json", "as_json", is_flag=True, help="Write the chain as JSON; times in ns.")
@click.option("--all", "everything", is_flag=True, help=f"Print more than {MOST} messages.")
def command(run: Path, message: str, as_json: bool, everything: bool) -> None:
    """Show what led to MESSAGE of RUN and what it led to.

    MESSAGE is an id such as meter-3/17: the seventeenth message that meter-3 sent.
    """
    with open_run(run) as opened:
        chain = find_chain(opened.connection, message)
    if as_json:
        click.echo(json.dumps(_document(chain), indent=2, ensure_ascii=False))
        return
    _print(chain, message, make_console(), None if everything else MOST)


def _document(chain: Chain) -> dict[str, object]:
    messages = []
    for message in chain.messages:
        entry = dataclasses.asdict(message)
        entry["payload"] = json.loads(message.payload)
        messages.append(entry)
    return {"origin": chain.origin, "end": chain.end, "messages": messages}


def _print(chain: Chain, asked: str, console: Console, most: int | None) -> None:
    count = len(chain.messages)
    span = f"{show_exact(chain.origin)} to {show_exact(chain.end)}"
    plural = "s" if count != 1 else ""
    head = f": {count:,} message{plural}, {span}, {show.time(chain.end - chain.origin)} in all"
    _line(console, Text.assemble("Chain of ", (asked, "bold"), head))
    for message in chain.messages[:most]:
        _line(console, Text())
        _message(message, console)
    if most is not None and count > most:
        _line(console, Text(f"\n... and {count - most:,} more; --all prints them"))


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def _message(message: Traced, console: Console) -> None:
    mark = ">" if message.asked else " "
    way = f"{message.source} ({message.source_tier}) -> "
    way += f"{message.destination} ({message.destination_tier})"
    id = (message.id, "bold" if message.asked else "")
    what = f"   {way}   {show.label(message.kind)}, {message.size:,} B"
    _line(console, Text.assemble(f"{mark} ", id, what))
    cause = f"caused by {message.cause}" if message.cause else "first of its chain"
    _step(console, message.sent, f"sent, {cause}{_before(message)}")
    for hop in message.hops:
        _step(console, hop.entered, _hop(hop))
    _step(console, message.at, _fate(message))


def _step(console: Console, at: int, what: str) -> None:
    _line(console, Text(f"    {show_exact(at):>16}  {what}"))


def _before(message: Traced) -> str:
    """What the answer cost before it was sent."""
    parts = []
    if message.waited:
        parts.append(f"waited {show.time(message.waited)} for a worker")
    if message.computed:
        parts.append(f"computed for {show.time(message.computed)}")
    return f", after it {' and '.join(parts)}" if parts else ""


def _hop(hop: Hop) -> str:
    parts = [f"queued {show.time(hop.queued)}", f"transmitted in {show.time(hop.transmitted)}"]
    if hop.arrived is None:
        parts.append("lost on it")
    else:
        delay = hop.arrived - hop.entered - hop.queued - hop.transmitted
        parts.append(f"delay {show.time(delay)}")
    return f"entered {hop.link}: {', '.join(parts)}"


def _fate(message: Traced) -> str:
    if message.fate == "in_flight":
        return f"still in flight when the run ended, after {show.time(message.at - message.sent)}"
    split = f"network {show.time(message.network)}, queued {show.time(message.queued)}"
    after = f"after {show.time(message.at - message.sent)} ({split})"
    if message.fate == "delivered":
        return f"delivered {after}"
    return f"lost: {message.fate}, {after}"
