"""A participant that answers, and says when it has done so a number of times.

It starts a program of its own, and notes its process number in `NAME.pid`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from simcore.protocol.peer import serve


class Counting:
    """Config: `signal_at`, the exchange to speak up at; `own_session` for the program it starts."""

    def start(self, peer: Any) -> None:
        """Have a child that nobody looks after."""
        own_session = peer.config["own_session"]
        self.child = subprocess.Popen(["sleep", "3600"], start_new_session=own_session)
        self.left = peer.config["signal_at"]
        Path(f"{peer.name}.pid").write_text(str(os.getpid()), encoding="ascii")

    def advance(self, peer: Any, until: int, inputs: Any) -> None:
        """Answer, and count."""
        self.left -= 1
        if self.left == 0:
            Path(os.environ["READY"]).write_text("counted", encoding="ascii")
        peer.record("left", self.left)
        for message in inputs:
            peer.send(message.source, "answer", message.payload, cause=message)


serve(Counting())
