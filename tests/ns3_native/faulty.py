"""What becomes of messages in ns-3 while there is a fault.

    client-0, client-1, client-2  --[segment]--  gateway  --[p2p]--  cloud

Each client sends every 100 ms; the fault begins at 5 s and ends at 8 s.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import simcore

from . import HERE, SEGMENTS

MODELS = """
def client(node):
    yield node.sleep(node.random.randrange(10**8))
    while True:
        node.send("cloud", kind="reading", size=60)
        yield node.sleep("100ms")
"""

Row = tuple[str, int, int, str]
"""Source, sent, when its fate came (ns), fate."""


def rows(kind: str, fault: str, folder: Path, *, own: bool = False) -> list[Row]:
    """What becomes of each message of a run with a fault.

    Args:
        own: whether a user's function makes the network, instead of segments.
    """
    (folder / "models.py").write_text(MODELS)
    made = f"""
  positions: {{client: {{circle: 5}}}}
  segments:
    - {SEGMENTS[kind]}
    - {{kind: p2p, between: [gateway, cloud], rate: 20Mbit/s, delay: 20ms}}
"""
    if own:
        shutil.copy(HERE / "topologies.py", folder)
        made = f"  topology: topologies.py:{kind}"
    scenario = simcore.loads(
        f"""
simcore: 1
duration: 20s
nodes:
  client: {{count: 3, model: models.py:client}}
  gateway: {{tier: edge}}
  cloud: {{tier: cloud}}
network:
  model: ns3
  give_up: 2s
{made}
faults:
  - {{at: 5s, for: 3s, {fault}}}
""",
        base=folder,
    )
    shutil.rmtree(folder / "run", ignore_errors=True)
    simcore.Federation(scenario, out=folder / "run").run()
    with simcore.open_run(folder / "run") as run:
        found: list[Row] = run.connection.execute(
            "SELECT source, sent, at, fate FROM messages WHERE fate != 'in_flight'"
        ).fetchall()
    return found
