"""The rules of the protocol, one line each: what a participant has to do, and which kinds have to.

Rules of frames and answers are examined with every frame, by the checks that simcore makes in a
run; their ids are those of its errors. Rules of conduct have an act of their own, in
`simcore.contract.acts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simcore.participant import Kind

_ALL: tuple[Kind, ...] = ("reactive", "free_running", "network")
_NODES: tuple[Kind, ...] = ("reactive", "free_running")
_REACTIVE: tuple[Kind, ...] = ("reactive",)
_FREE: tuple[Kind, ...] = ("free_running",)
_NETWORK: tuple[Kind, ...] = ("network",)
_WINDOWS: tuple[Kind, ...] = ("free_running", "network")


class Rule(NamedTuple):
    """A rule.

    Attributes:
        id: its name, in reports and for `--skip`.
        sentence: what a participant does that keeps it.
        kinds: the kinds of participants that it is for.
    """

    id: str
    sentence: str
    kinds: tuple[Kind, ...] = _ALL


FRAMES = (
    Rule("connect", "It connects to SIMCORE_ADDRESS in time."),
    Rule("deadline", "It answers each frame in time, and reads what it is sent."),
    Rule("process-ended", "It runs until it has said BYE."),
    Rule("connection", "It keeps its connection, in both directions, until it has said BYE."),
    Rule("participant-error", "It does not give up with ERROR."),
    Rule("invalid-json", "Each frame is one JSON value on one line, in UTF-8, without NaN."),
    Rule("line-too-long", "No line is longer than 16 MiB, and HELLO not longer than 4 KiB."),
    Rule(
        "frame-shape", "Frames have the fields of the protocol, of the right types, and no other."
    ),
    Rule("frame-order", "Frames come in the order HELLO, READY, DONE for each ADVANCE, BYE."),
    Rule("unasked-frame", "It sends one frame when it is asked, and nothing besides."),
    Rule("protocol-version", "HELLO names version 1 of the protocol."),
    Rule("token", "HELLO holds SIMCORE_TOKEN."),
    Rule("name", "HELLO holds SIMCORE_NAME."),
    Rule("kind", "READY names the kind that the scenario has."),
    Rule("grain", "READY has a grain only if it is free-running."),
    Rule(
        "next",
        "`next` is never in the past: not before INIT.time or now, nor, without a delivery, before "
        "until of a network; it is null if it is free-running.",
    ),
    Rule("sequence", "DONE has the seq of its ADVANCE."),
    Rule(
        "now",
        "DONE.now is until; that of a network lies between its clock so far and until, exclusive.",
    ),
    Rule(
        "output-time",
        "Outputs are stamped now or later; inside the window if it is free-running. A network "
        "stops at its first delivery.",
    ),
    Rule("measure-time", "Measurements are stamped like outputs.", _NODES),
    Rule("unknown-destination", "Outputs go to nodes that there are.", _NODES),
    Rule(
        "unknown-node",
        "src of an output and node of a measurement are its own, and given if it has several.",
        _NODES,
    ),
    Rule(
        "unknown-cause", "cause is the id of an input: of this ADVANCE or the 256 before.", _NODES
    ),
    Rule(
        "payload", "Payloads are at most 64 levels deep, and $b64 stands alone with base64.", _NODES
    ),
    Rule(
        "spent",
        "The time that an output spent is not longer than that from its cause to itself.",
        _NODES,
    ),
    Rule("rounds", "It asks for at most 1,000 more rounds at one instant.", _REACTIVE),
    Rule("measures", "A network measures nothing.", _NETWORK),
    Rule("unknown-message", "A network settles messages that are inside, each once.", _NETWORK),
    Rule("fate", "Every message comes out of a network, or is reported lost.", _NETWORK),
    Rule("least-delay", "No message comes out before it entered plus the least delay.", _NETWORK),
    Rule("exit", "After BYE it exits in time, with code 0."),
    Rule("left-behind", "When it has exited, no process that it started is left."),
)

CONDUCT = (
    Rule("repeatable", "Started again with the same seed and inputs, it gives the same answers."),
    Rule("pace", "It answers the same when simcore takes its time."),
    Rule("pieces", "It takes frames that arrive in pieces."),
    Rule("unknown-field", "It ignores fields of simcore's frames that it does not know."),
    Rule("empty-advance", "It takes an ADVANCE without inputs.", _NODES),
    Rule("same-instant", "It takes a further ADVANCE at the same instant.", _REACTIVE),
    Rule(
        "keeps-next",
        "An input of a kind that it does not know does not make it forget its `next`.",
        _REACTIVE,
    ),
    Rule("window-edges", "It takes inputs at the first and the last instant of a window.", _FREE),
    Rule("text", "It takes escapes and all of Unicode in payloads.", _NODES),
    Rule("numbers", "It takes whole numbers up to 2^53 - 1, and all doubles.", _NODES),
    Rule("nesting", "It takes payloads that are nested 50 levels deep.", _NODES),
    Rule("bytes", "It takes bytes in payloads.", _NODES),
    Rule("long-line", "It takes a payload of 1 MiB.", _NODES),
    Rule("many-inputs", "It takes 1,000 inputs in one ADVANCE."),
    Rule("later-life", "Started again in the middle of a run, it begins at INIT.time.", _NODES),
    Rule("large-times", "It takes times near 2^52 ns.", _NODES),
    Rule(
        "split-window",
        "It makes no difference into how many windows, or grants, time is cut.",
        _WINDOWS,
    ),
    Rule(
        "keeps-inputs",
        "A network keeps the inputs that lie behind the delivery at which it stopped.",
        _NETWORK,
    ),
    Rule("early-shutdown", "It takes SHUTDOWN before its first ADVANCE."),
    Rule("end-of-connection", "It ends by itself when simcore is gone."),
)

RULES = {rule.id: rule for rule in (*FRAMES, *CONDUCT)}
"""All rules by their ids, in the order in which they are reported."""


@dataclass
class Finding:
    """How a rule was broken.

    Attributes:
        rule: its id.
        says: what was wrong, in simcore's words.
        where: what was going on.
        sent: the last line that simcore sent, shortened.
        came: the line that came, shortened.
        log: the last lines that the program printed.
        count: how often it was broken; the rest is of the first time.
    """

    rule: str
    says: str
    where: str = ""
    sent: str = ""
    came: str = ""
    log: list[str] = field(default_factory=list)
    count: int = 1

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def kinds_in_words(rule: Rule) -> str:
    """The kinds that a rule is for."""
    return "all" if rule.kinds == _ALL else ", ".join(rule.kinds).replace("_", "-")


def rules_table() -> str:
    """The rules as a Markdown table, as it stands in `docs/contract.md`."""
    rows = ["| rule | kinds | what a participant does |", "|---|---|---|"]
    rows += [
        f"| `{rule.id}` | {kinds_in_words(rule)} | {rule.sentence} |" for rule in RULES.values()
    ]
    return "\n".join(rows) + "\n"
