"""A run directory told by hand: every figure that the tests expect can be checked on paper.

    meter-0 \\
              > gateway --- cloud          meter-0 sends reading 1, 2, 3; meter-1 sends reading 1
    meter-1 /

| message   | way                | sent | at  | fate      | cause     | queued | waited | computed |
|-----------|--------------------|------|-----|-----------|-----------|--------|--------|----------|
| meter-0/1 | meter-0 -> gateway |   10 |  20 | delivered |           |      2 |        |          |
| meter-0/2 | meter-0 -> gateway |  110 | 130 | delivered |           |      0 |        |          |
| meter-0/3 | meter-0 -> gateway |  210 | 211 | loss      |           |        |        |          |
| meter-1/1 | meter-1 -> gateway |   10 |  50 | delivered |           |     10 |        |          |
| gateway/1 | gateway -> cloud   |   25 |  70 | delivered | meter-0/1 |      5 |      2 |        3 |
| gateway/2 | gateway -> cloud   |   60 |  61 | queue_full| meter-1/1 |        |      4 |        6 |
| cloud/1   | cloud -> meter-0   |   80 | 100 | delivered | gateway/1 |        |        |       10 |
| gateway/3 | gateway -> cloud   |  290 | 300 | in flight |           |        |        |          |

All times in ms; the run ends at 300 ms.
"""

from __future__ import annotations

import json

from simcore.results.tables import create_tables

MS = 10**6
NODES = [
    ("meter-0", "meter", "device", "python_model"),
    ("meter-1", "meter", "device", "python_model"),
    ("gateway", "gateway", "edge", "python_model"),
    ("cloud", "cloud", "cloud", "python_model"),
]

# id, destination, kind, size, sent, at, fate, cause, origin, queued, waited, computed
MESSAGES = [
    ("meter-0/1", "gateway", "reading", 100, 10, 20, "delivered", None, 10, 2, 0, 0),
    ("meter-0/2", "gateway", "reading", 100, 110, 130, "delivered", None, 110, 0, 0, 0),
    ("meter-0/3", "gateway", "reading", 100, 210, 211, "loss", None, 210, 0, 0, 0),
    ("meter-1/1", "gateway", "reading", 50, 10, 50, "delivered", None, 10, 10, 0, 0),
    ("gateway/1", "cloud", "my kind", 40, 25, 70, "delivered", "meter-0/1", 10, 5, 2, 3),
    ("gateway/2", "cloud", "my kind", 40, 60, 61, "queue_full", "meter-1/1", 10, 0, 4, 6),
    ("cloud/1", "meter-0", "command", 8, 80, 100, "delivered", "gateway/1", 10, 0, 0, 10),
    ("gateway/3", "cloud", "my kind", 40, 290, 300, "in_flight", None, 290, 0, 0, 0),
]
MEASUREMENTS = [
    (50, "gateway", 1, "temperature", "float", 20.0),
    (60, "gateway", 2, "temperature", "int", 22),
    (70, "meter-0", 1, "temperature", "float", 27.0),
    (50, "cloud", 1, "correct", "bool", 1),
    (51, "cloud", 2, "correct", "bool", 1),
    (52, "cloud", 3, "correct", "bool", 0),
    (53, "cloud", 4, "correct", "bool", 1),
    (55, "cloud", 5, "state", "str", "busy"),
    (56, "cloud", 6, "state", "str", "idle"),
    (57, "cloud", 7, "state", "str", "busy"),
]
FAULTS = [
    (150, 1, "begin", "link_down", "gateway->cloud", "{}"),
    (200, 2, "end", "link_down", "gateway->cloud", "{}"),
]
HOPS = [
    ("gateway/1", 0, "gateway->relay", 25, 5, 10, 45),
    ("gateway/1", 1, "relay->cloud", 45, 0, 12, 70),
]
LINKS = [
    ("meter-0->gateway", "meter-0", "gateway", 3, 2, 1, 0, 0, 300, 30 * MS, 0.1, 2),
    ("meter-1->gateway", "meter-1", "gateway", 1, 1, 0, 0, 0, 50, 5 * MS, 0.0, 1),
    ("gateway->cloud", "gateway", "cloud", 3, 1, 0, 1, 0, 80, 240 * MS, 1.5, 4),
    ("cloud->gateway", "cloud", "gateway", 0, 0, 0, 0, 0, 0, 0, 0.0, 0),
]
MANIFEST = {
    "format": 1,
    "simcore": "0.1.0",
    "scenario": {"name": "by-hand", "description": "Told by hand.", "path": "by-hand.yaml"},
    "resolved": {"simcore": 1, "name": "by-hand", "seed": 7, "duration": "300ms"},
    "seed": 7,
    "duration_ns": 300 * MS,
    "inputs": {"models.py": "ab" * 32},
    "versions": {"python": "3.11.7", "simpy": "4.1.1"},
    "platform": "Linux x86_64",
    "determinism": "exact",
    "digest": "0123456789abcdef" * 4,
    "exit": {"reason": "completed", "code": 0, "message": None},
    "times": {
        "started": "2026-01-01T00:00:00Z",
        "wall_s": 0.15,
        "simcore_s": 0.06,
        "start_s": 0.02,
        "virtual_ns": 300 * MS,
    },
    "counts": {"messages": 8, "delivered": 5, "measurements": 10, "faults": 2, "events": 40},
}


# A run with participants outside: name, life, kind, implementation, nodes, command, pid, started,
# ready, ended, exit. Wall times in us.
LIVES = [
    ("gateway", 1, "reactive", "process", '["gateway"]', '["python", "gw.py"]', 71, 10, 40, 195,
     "exited with code 0"),
    ("meter", 1, "free_running", "qemu", '["meter-0", "meter-1"]', '["qemu"]', 72, 20, 60, 130,
     "was killed by SIGKILL"),
    ("meter", 2, "free_running", "qemu", '["meter-0", "meter-1"]', '["qemu"]', 74, 131, 150, 198,
     "exited with code 0"),
    ("network", 1, "network", "ns3", "[]", '["ns3"]', 73, 30, 50, None, None),
]  # fmt: skip
# participant, seq, at, until, inputs, outputs (virtual ms), begun, awaited, done (wall us), reached
EXCHANGES = [
    ("gateway", 1, 0, 0, 0, 0, 61, 63, 66, 0),
    ("network", 1, 10, 25, 1, 1, 70, 71, 75, 18),
    ("gateway", 2, 20, 20, 1, 1, 80, 80, 85, 20),
    ("network", 2, 20, 40, 0, 0, 86, 87, 90, 35),
    ("meter", 1, 0, 50, 0, 2, 67, 100, 120, 50),
    ("meter", 1, 100, 150, 1, 0, 151, 160, 190, 150),
]
# id, late (ms)
LATE = [("meter-0/1", 4), ("meter-0/2", 1), ("meter-1/1", 3), ("cloud/1", 2), ("gateway/1", 1)]
OUTSIDE = {
    "determinism": "quantum",
    "participants": {
        "reactive": 1, "free_running": 1, "network": 1, "exchanges": 6, "waited_s": 0.03,
    },
    "windows": {
        "count": 6, "length_ns": 50 * MS, "grain_ns": 1000, "quantum_ns": 50 * MS,
        "late": {"messages": 5, "worst_ns": 4 * MS, "total_ns": 11 * MS},
    },
}  # fmt: skip


def write_outside(connection, *, lives=LIVES, exchanges=EXCHANGES, late=LATE):
    """Add participants to a database; times of exchanges become ns."""
    insert = connection.executemany
    insert(
        f"INSERT INTO participant VALUES ({','.join('?' * 11)}, NULL, NULL)",
        [(*life[:7], *(t and t * 1000 for t in life[7:10]), life[10]) for life in lives],
    )
    rows = [
        (name, seq, at * MS, until * MS, inputs, outputs, *(t * 1000 for t in wall), reached * MS)
        for name, seq, at, until, inputs, outputs, *wall, reached in exchanges
    ]
    insert(f"INSERT INTO exchange VALUES ({','.join('?' * 10)})", rows)
    order = {node[0]: place for place, node in enumerate(NODES)}
    sent = {(m[0]): m[4] for m in MESSAGES}
    for id, by in late:
        source, number = id.split("/")
        row = (order[source], int(number), sent[id] * MS, by * MS)
        connection.execute("INSERT INTO late VALUES (?,?,?,?)", row)


def write_database(
    connection,
    *,
    messages=MESSAGES,
    measurements=MEASUREMENTS,
    faults=FAULTS,
    links=LINKS,
    outside=None,
    nodes=NODES,
    hops=HOPS,
):
    create_tables(connection)
    if outside is not None:
        write_outside(connection, **outside)
    order = {node[0]: place for place, node in enumerate(nodes)}
    fates = {name: id for id, name in connection.execute("SELECT id, name FROM fate")}
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(m[2] for m in messages))}
    insert = connection.executemany
    insert("INSERT INTO node VALUES (?,?,?,?,?)", [(order[n[0]], *n) for n in nodes])
    insert("INSERT INTO kind VALUES (?,?)", [(place, kind) for kind, place in kinds.items()])
    for id, to, kind, size, sent, at, fate, cause, origin, queued, waited, computed in messages:
        source, number = id.split("/")
        payload = json.dumps({"from": id})
        connection.execute(
            "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?)",
            (
                at * MS,
                order[source],
                int(number),
                order[to],
                kinds[kind],
                size,
                payload,
                sent * MS,
                fates[fate],
            ),
        )
        if cause or queued or waited or computed:
            because = cause.split("/") if cause else (None, None)
            connection.execute(
                "INSERT INTO trail VALUES (?,?,?,?,?,?,?,?)",
                (
                    order[source],
                    int(number),
                    origin * MS,
                    order.get(because[0]),
                    because[1] and int(because[1]),
                    queued * MS,
                    waited * MS,
                    computed * MS,
                ),
            )
    insert(
        "INSERT INTO hop VALUES (?,?,?,?,?,?,?,?)",
        [
            (
                order[id.split("/")[0]],
                int(id.split("/")[1]),
                hop,
                link,
                entered * MS,
                queued * MS,
                transmitted * MS,
                arrived * MS,
            )
            for id, hop, link, entered, queued, transmitted, arrived in hops
        ],
    )
    insert(
        "INSERT INTO measurement VALUES (?,?,?,?,?,?)",
        [(at * MS, order[node], *rest) for at, node, *rest in measurements],
    )
    insert("INSERT INTO fault VALUES (?,?,?,?,?,?)", [(at * MS, *rest) for at, *rest in faults])
    insert("INSERT INTO link VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", links)
