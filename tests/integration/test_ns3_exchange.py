"""What answers an ADVANCE: ns-3's library itself, or Python where it does not know a line.

Lines that simcore wrote in a run are read to ns-3's process once more, in several forms.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ns3_native import SEGMENTS, Traffic, require_ns3
from support import PATIENCE

from simcore.protocol.channel import Channel

pytestmark = pytest.mark.ns3

CABLE = Traffic(SEGMENTS["csma"], clients=3, requests=4)
LOSSY = Traffic(
    SEGMENTS["p2p"].replace("}", ", loss: 0.4}"), clients=3, more="  give_up: 700ms", answer=0
)
STREAMS = Traffic(
    SEGMENTS["csma"], clients=3, requests=3, size=9000, more="  tcp: [{from: client, to: cloud}]"
)


@pytest.fixture(autouse=True)
def _ns3() -> None:
    require_ns3()


def written(traffic: Traffic, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What simcore writes to ns-3's process in a run, line by line."""
    lines: list[bytes] = []
    send = Channel.send

    def kept(channel: Channel, data: bytes, *rest: object) -> None:
        lines.append(data)
        send(channel, data, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Channel, "send", kept)
    traffic.through_simcore(folder)
    assert json.loads(lines[0])["type"] == "INIT"
    assert json.loads(lines[-1])["type"] == "SHUTDOWN"
    return lines


def answers(pieces: Sequence[bytes], said: Path) -> list[Any]:
    """What ns-3's process says when it reads that, without anybody who waits for an answer."""
    environment = {"SIMCORE_ADDRESS": "stdio", "SIMCORE_TOKEN": "token", "SIMCORE_NAME": "network"}
    with (
        said.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "simcore_netmodels.ns3.child"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=out,
            env={**os.environ, **environment},
        ) as child,
    ):
        assert child.stdin is not None
        for piece in pieces:
            child.stdin.write(piece)
        child.stdin.close()
        assert child.wait(timeout=PATIENCE) == 0
    return [json.loads(line) for line in said.read_bytes().splitlines()]


def otherwise(line: bytes) -> bytes:
    """The same frame as only Python reads it: with spaces."""
    return json.dumps(json.loads(line)).encode() + b"\n"


def in_pieces(lines: Sequence[bytes]) -> list[bytes]:
    """Lines, cut where they do not end."""
    text = b"".join(lines)
    return [text[i : i + 1000] for i in range(0, len(text), 1000)]


@pytest.mark.parametrize("traffic", [CABLE, LOSSY, STREAMS], ids=["cable", "lossy", "streams"])
def test_every_form_of_a_line_has_the_same_answer(
    traffic: Traffic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = written(traffic, tmp_path, monkeypatch)
    said = tmp_path / "said"
    expected = answers(lines, said)
    assert [each["type"] for each in expected[:2]] == ["HELLO", "READY"]
    assert len(expected) == len(lines) + 1
    assert answers([otherwise(line) for line in lines], said) == expected
    mixed = [otherwise(line) if number % 3 else line for number, line in enumerate(lines)]
    assert answers(mixed, said) == expected
    assert answers(in_pieces(lines), said) == expected
    fates = {output["fate"] for each in expected for output in each.get("outputs", [])}
    assert fates == ({"delivered", "loss"} if traffic is LOSSY else {"delivered"})
