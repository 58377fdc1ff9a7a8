"""A service that answers every message with its own payload.

The smallest useful other end: for round-trip measurements, first scenarios and tests. In
YAML: `service: echo`, with an optional `config` of

- `kind`: kind of the answers (default `echo`);
- `compute`: what one answer costs in virtual time, a duration or a distribution (default
  nothing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcore.protocol.service import Context, Incoming

_KEYS = ("kind", "compute")


class Echo:
    """Sends each message's payload back to its sender, with the size it came with."""

    def start(self, ctx: Context) -> None:
        """Read what an answer costs."""
        # `config` is free to hold anything, so nobody but the service can catch a misspelling.
        unknown = [key for key in ctx.config if key not in _KEYS]
        if unknown:
            raise ValueError(
                f"echo does not know the config key {unknown[0]!r}; it takes {' and '.join(_KEYS)}"
            )

    def on_message(self, ctx: Context, msg: Incoming) -> None:
        """Answer with what came."""
        if "compute" in ctx.config:
            ctx.compute(ctx.config["compute"])
        ctx.reply(msg, ctx.config.get("kind", "echo"), msg.payload, size=msg.size)
