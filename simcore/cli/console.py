"""Where commands write to: a terminal gets colours and its own width, a pipe neither."""

from __future__ import annotations

import sys

from rich.console import Console

_UNLIMITED = 10_000


def make_console() -> Console:
    """A console on standard output that takes names as they are, without markup.

    In a pipe nothing is wrapped or cut: whoever reads it there has no columns.
    """
    width = None if sys.stdout.isatty() else _UNLIMITED
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)
