"""A run with inferences told by hand: every figure that the tests expect can be checked on paper.

    meter-0 \\
              > gateway --- edge           gateway decides; edge and cloud answer
    meter-1 /          \\--- cloud

| message   | way                | kind    | size | sent | at  | cause     | queued | waited | computed |
|-----------|--------------------|---------|------|------|-----|-----------|--------|--------|----------|
| meter-0/1 | meter-0 -> gateway | reading |   16 |   15 |  20 |           |        |        |        4 |
| meter-0/2 | meter-0 -> gateway | image   |   76 |  116 | 126 |           |      2 |        |        4 |
| gateway/1 | gateway -> edge    | infer   |   72 |  127 | 128 | meter-0/2 |        |        |        1 |
| edge/1    | edge -> gateway    | answer  |   16 |  136 | 137 | gateway/1 |        |      5 |        3 |
| gateway/2 | gateway -> cloud   | infer   |   72 |  137 | 177 | edge/1    |        |        |          |
| cloud/1   | cloud -> gateway   | answer  |   16 |  190 | 230 | gateway/2 |        |        |        9 |
| gateway/3 | gateway -> meter-0 | result  |   16 |  230 | 236 | cloud/1   |        |        |          |
| meter-0/3 | meter-0 -> gateway | shown   |    8 |  236 | 244 | gateway/3 |        |        |          |
| meter-1/1 | meter-1 -> gateway | image   |   72 |   12 |  22 |           |        |        |          |
| gateway/4 | gateway -> edge    | infer   |   72 |   22 |  23 | meter-1/1 |        |        |          |
| edge/2    | edge -> gateway    | answer  |   16 |   26 |  27 | gateway/4 |        |        |        3 |
| gateway/5 | gateway -> meter-1 | result  |   16 |   27 |  34 | edge/2    |      1 |        |          |
| meter-1/2 | meter-1 -> gateway | image   |   72 |  112 | 113 |           |        |        |          |
| meter-1/3 | meter-1 -> gateway | image   |   76 |  212 | 213 |           |        |        |        8 |

All times in ms. The answer of the cloud to gateway/2 was late by 4 ms that nothing accounts for.
meter-1/2 and meter-1/3 are lost; of the second one the device has an answer of its own.
"""

from __future__ import annotations

from by_hand import MS

NODES = [
    ("meter-0", "meter", "device", "python_model"),
    ("meter-1", "meter", "device", "python_model"),
    ("gateway", "gateway", "edge", "python_model"),
    ("edge", "edge", "edge", "python_model"),
    ("cloud", "cloud", "cloud", "python_model"),
]

# id, destination, kind, size, sent, at, fate, cause, origin, queued, waited, computed
MESSAGES = [
    ("meter-0/1", "gateway", "reading", 16, 15, 20, "delivered", None, 15, 0, 0, 4),
    ("meter-0/2", "gateway", "image", 76, 116, 126, "delivered", None, 116, 2, 0, 4),
    ("gateway/1", "edge", "infer", 72, 127, 128, "delivered", "meter-0/2", 116, 0, 0, 1),
    ("edge/1", "gateway", "answer", 16, 136, 137, "delivered", "gateway/1", 116, 0, 5, 3),
    ("gateway/2", "cloud", "infer", 72, 137, 177, "delivered", "edge/1", 116, 0, 0, 0),
    ("cloud/1", "gateway", "answer", 16, 190, 230, "delivered", "gateway/2", 116, 0, 0, 9),
    ("gateway/3", "meter-0", "result", 16, 230, 236, "delivered", "cloud/1", 116, 0, 0, 0),
    ("meter-0/3", "gateway", "shown", 8, 236, 244, "delivered", "gateway/3", 116, 0, 0, 0),
    ("meter-1/1", "gateway", "image", 72, 12, 22, "delivered", None, 12, 0, 0, 0),
    ("gateway/4", "edge", "infer", 72, 22, 23, "delivered", "meter-1/1", 12, 0, 0, 0),
    ("edge/2", "gateway", "answer", 16, 26, 27, "delivered", "gateway/4", 12, 0, 0, 3),
    ("gateway/5", "meter-1", "result", 16, 27, 34, "delivered", "edge/2", 12, 1, 0, 0),
    ("meter-1/2", "gateway", "image", 72, 112, 113, "loss", None, 112, 0, 0, 0),
    ("meter-1/3", "gateway", "image", 76, 212, 213, "loss", None, 212, 0, 0, 8),
]

# node, n, sampled, sent, ended, place, reason, label, confidence, truth, own, request, answer
INFERENCES = [
    ("meter-0", 1, 10, 15, 15, "device", "sure", 7, 0.93, 7, 7, 1, None),
    ("meter-1", 1, 10, 12, 34, "edge", "sure 0.98 >= 0.9", 3, 0.98, 3, None, 1, "gateway/5"),
    ("meter-1", 2, 110, 112, None, None, None, None, None, 4, None, 2, None),
    ("meter-1", 3, 200, 212, 212, "device", "no answer", 1, 0.4, 2, 1, 3, None),
    ("meter-0", 2, 110, 116, 236, "cloud", "edge 0.6 < 0.9", 9, 0.99, 8, 3, 2, "gateway/3"),
]


def write_inferences(connection, inferences=INFERENCES):
    """Add inferences, told as above, to the database of a run whose nodes are there."""
    order = {name: id for id, name in connection.execute("SELECT id, name FROM node")}
    rows = []
    for node, n, sampled, sent, ended, *rest, request, answer in inferences:
        source, number = answer.split("/") if answer else (None, None)
        times = (sampled * MS, sent * MS, None if ended is None else ended * MS)
        by = (order.get(source), number and int(number))
        rows.append((order[node], n, *times, *rest, request, *by))
    marks = ",".join("?" * 14)
    connection.executemany(f"INSERT INTO inference VALUES ({marks})", rows)
