"""A service that answers every message with its own payload.

The smallest useful other end: for round-trip measurements, first scenarios and tests. In
YAML: `service: echo`, with an optional `config` of

- `kind`: kind of the answers (default `echo`);
- `compute`: what one answer costs in virtual time, a duration or a distribution (default
  nothing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore import distributions
from simcore.errors import UnitError

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.protocol.service import Context, Incoming
    from simcore.scenario.check import Checker


class Echo:
    """Sends each message's payload back to its sender, with the size it came with."""

    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "kind": {
                "type": "string",
                "minLength": 1,
                "default": "echo",
                "description": "Kind of the answers.",
            },
            "compute": distributions.SCHEMA,
        },
    }

    @staticmethod
    def check(config: Mapping[str, Any], path: Path, checker: Checker) -> None:
        """Report a cost that cannot be drawn."""
        if "compute" in config:
            try:
                distributions.parse(config["compute"], checker.base)
            except UnitError as error:
                checker.problem((*path, "compute"), str(error))

    def on_message(self, ctx: Context, msg: Incoming) -> None:
        """Answer with what came."""
        if "compute" in ctx.config:
            ctx.compute(ctx.config["compute"])
        ctx.reply(msg, ctx.config.get("kind", "echo"), msg.payload, size=msg.size)
