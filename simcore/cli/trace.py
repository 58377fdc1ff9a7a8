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
from simcore.results.tables import NO_ANSWER
from simcore.results.trace import Chain, Hop, Traced, TracedInference, request_of
from simcore.results.trace import trace as find_chain
from simcore.units import show_exact

MOST, MOST_INFERENCES = 100, 3
"""Messages that are printed unless `--all` is given: one broadcast may lead to thousands."""
_SAID = ("label", "confidence", "place", "why")
"""Keys of payloads that tell of an inference."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("message", required=False)
@click.option(
    "--inference", type=(str, int), metavar="DEVICE N",
    help="Follow picture N of DEVICE to the device's acknowledgement of the answer.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write the chain as JSON; times in ns.")
@click.option("--all", "everything", is_flag=True, help=f"Print more than {MOST} messages.")
def command(
    run: Path,
    message: str | None,
    inference: tuple[str, int] | None,
    as_json: bool,
    everything: bool,
) -> None:
    """Show what led to MESSAGE of RUN and what it led to.

    MESSAGE is an id such as meter-3/17: the seventeenth message that meter-3 sent. With
    --inference, as in --inference meter-3 12, none is given.
    """
    if (message is None) == (inference is None):
        raise click.UsageError("give a message, as meter-3/17, or --inference, as meter-3 12")
    with open_run(run) as opened:
        asked = message or request_of(opened.connection, *(inference or ("", 0)))
        chain = find_chain(opened.connection, asked)
    others = 0
    if inference is not None and not everything:
        whole = len(chain.messages)
        chain = chain.along(next(i for i in chain.inferences if (i.node, i.n) == inference))
        others = whole - len(chain.messages)
    if as_json:
        click.echo(json.dumps(_document(chain), indent=2, ensure_ascii=False))
        return
    console = make_console()
    _print(chain, asked, console, None if everything else MOST)
    if others:
        _line(console, Text(f"\n... and {others:,} more beside this way; --all prints them"))


def _document(chain: Chain) -> dict[str, object]:
    messages = []
    for message in chain.messages:
        entry = dataclasses.asdict(message)
        entry["payload"] = json.loads(message.payload)
        messages.append(entry)
    document: dict[str, object] = {"origin": chain.origin, "end": chain.end, "messages": messages}
    if chain.inferences:
        document["inferences"] = [dataclasses.asdict(each) for each in chain.inferences]
    return document


def _print(chain: Chain, asked: str, console: Console, most: int | None) -> None:
    count = len(chain.messages)
    begin = min([chain.origin, *(each.sampled for each in chain.inferences)])
    span = f"{show_exact(begin)} to {show_exact(chain.end)}"
    plural = "s" if count != 1 else ""
    head = f": {count:,} message{plural}, {span}, {show.time(chain.end - begin)} in all"
    _line(console, Text.assemble("Chain of ", (asked, "bold"), head))
    for inference in chain.inferences[:MOST_INFERENCES]:
        _inference(inference, console)
    requests = {each.request: each for each in chain.inferences}
    answers = {each.answer: each for each in chain.inferences}
    for message in chain.messages[:most]:
        _line(console, Text())
        if message.id in requests:
            inference = requests[message.id]
            _step(console, inference.sampled, f"{inference.node} takes picture {inference.n}")
            if inference.own is not None:
                own = f"{inference.node} shows {show.label(inference.own)}, its own answer"
                _step(console, inference.sent, own)
            _line(console, Text())
        _message(message, console, bool(chain.inferences))
        if message.id in answers:
            inference = answers[message.id]
            _step(console, message.at, f"{inference.node} shows {show.label(inference.label)}")
    if most is not None and count > most:
        _line(console, Text(f"\n... and {count - most:,} more; --all prints them"))


def _inference(inference: TracedInference, console: Console) -> None:
    """What was answered and why, and where the time went."""
    head = f"Picture {inference.n} of {inference.node}: "
    if inference.latency is None:
        told = inference.reason not in (None, "", NO_ANSWER)
        why = f" ({show.label(inference.reason)})" if told else ""
        _line(console, Text(f"{head}no answer{why}"))
        return
    verdict = ""
    if inference.truth is not None:
        truth = show.label(inference.truth)
        verdict = ", right" if inference.label == inference.truth else f", wrong: it is {truth}"
    why = f" ({show.label(inference.reason)})" if inference.reason else ""
    what = f"{show.label(inference.label)} from the {inference.place}{why}{verdict}"
    _line(console, Text.assemble(head, (what, "bold"), f", after {show.time(inference.latency)}"))
    split = [f"{part} {show.time(ns)}" for part, ns in inference.split.items() if ns]
    if split:
        _line(console, Text("  " + ", ".join(split)))


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def _message(message: Traced, console: Console, says: bool) -> None:
    mark = ">" if message.asked else " "
    way = f"{message.source} ({message.source_tier}) -> "
    way += f"{message.destination} ({message.destination_tier})"
    id = (message.id, "bold" if message.asked else "")
    what = f"   {way}   {show.label(message.kind)}, {message.size:,} B"
    _line(console, Text.assemble(f"{mark} ", id, what))
    cause = f"caused by {message.cause}" if message.cause else "first of its chain"
    _step(console, message.sent, f"sent, {cause}{_before(message)}")
    said = _said(message.payload) if says else ""
    if said:
        _line(console, Text(f"    {'':>16}  {said}"))
    for hop in message.hops:
        _step(console, hop.entered, _hop(hop))
    _step(console, message.at, _fate(message))


def _step(console: Console, at: int, what: str) -> None:
    _line(console, Text(f"    {show_exact(at):>16}  {what}"))


def _said(payload: str) -> str:
    """What a message says of an inference: answer, place, and why it was sent."""
    content = json.loads(payload)
    if not isinstance(content, dict):
        return ""
    known = [(name, content[name]) for name in _SAID if content.get(name) is not None]
    return ", ".join(f"{name} {show.label(value)}" for name, value in known)


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
