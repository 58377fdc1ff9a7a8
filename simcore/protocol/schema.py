"""The published JSON Schema of the wire, made from the frames, so that any language can take
part and check what it sends.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from simcore.protocol import frames

_SENT_BY_SIMCORE = (
    frames.Init,
    frames.Advance,
    frames.NetworkAdvance,
    frames.Shutdown,
)
_SENT_BY_PARTICIPANTS = (
    frames.Hello,
    frames.Ready,
    frames.Done,
    frames.NetworkDone,
    frames.Bye,
)
_SENT_BY_BOTH = (frames.Error,)


def wire_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of all frames; `from_simcore` and `from_participant` are in `$defs`."""
    every = (*_SENT_BY_SIMCORE, *_SENT_BY_PARTICIPANTS, *_SENT_BY_BOTH)
    _, parts = msgspec.json.schema_components(every, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"simcore wire, protocol {frames.PROTOCOL}",
        "description": "One line between simcore and a participant: a JSON object whose field "
        "'type' says which frame it is.",
        "anyOf": [{"$ref": "#/$defs/from_simcore"}, {"$ref": "#/$defs/from_participant"}],
        "$defs": {
            "from_simcore": _any_of(
                "Participants ignore fields that are not described here.",
                (*_SENT_BY_SIMCORE, *_SENT_BY_BOTH),
            ),
            "from_participant": _any_of(
                "simcore refuses fields that are not described here.",
                (*_SENT_BY_PARTICIPANTS, *_SENT_BY_BOTH),
            ),
            **parts,
        },
    }


def _any_of(description: str, kinds: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    return {
        "description": description,
        "anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
    }


def wire_schema_text() -> str:
    """The schema as it is published in `schemas/wire.schema.json`."""
    return json.dumps(wire_schema(), indent=2, ensure_ascii=False) + "\n"
