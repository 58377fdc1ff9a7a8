"""The same traffic in one ns-3 process without simcore: reads a job, prints what was delivered.

The job is JSON: `library`, `config` and `seed` as simcore's child gets them, `names`, `end` (ns), and
`clients`: objects with `node`, `server`, `size`, `answer`, `serve` (ns), `pauses` (ns).
"""

from __future__ import annotations

import ctypes
import json
import sys
import time

from simcore_netmodels.ns3.binding import Binding
from simcore_netmodels.ns3.child import made

U32, U64 = ctypes.c_uint32, ctypes.c_uint64


class Record(ctypes.Structure):
    _fields_ = (("at", U64), ("id", U64))


def main() -> None:
    job = json.load(sys.stdin)
    ns3 = Binding(job["library"])
    built = made(ns3, job["config"], job["seed"], job["names"], native=True)
    library = ns3.library
    for client in job["clients"]:
        node, there, manner = built.way(client["node"], client["server"])
        server, back, _ = built.way(client["server"], client["node"])
        pauses = client["pauses"]
        library.nt_client(
            U32(node), U32(server), U32(there), U32(back), U32(client["size"]),
            U32(client["answer"]), U64(client["serve"]), U32(manner), U32(len(pauses)),
            (U64 * len(pauses))(*pauses),
        )  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    library.nt_run(U64(job["end"]))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    room = 1 << 20
    records = (Record * room)()
    count = library.nt_records(records, U32(room))
    found = []
    for each in records[:count]:
        client = job["clients"][(each.id >> 32) - 1]
        ends = [client["node"], client["server"]]
        found.append(
            [each.at, *(reversed(ends) if each.id & 1 else ends), (each.id & 0xFFFFFFFF) >> 1]
        )
    json.dump(
        {"seconds": took, "cpu": cpu, "events": library.sn_events(), "delivered": found}, sys.stdout
    )


if __name__ == "__main__":
    main()
