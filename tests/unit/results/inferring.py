"""Run directories with inferences, as a placement scenario leaves them, made up with a seed.

    meter-0 \\
              > gateway (dispatcher) --- edge
    meter-2 /                        \\-- cloud

What is not kept on a device goes to the edge and, by policy `confidence`, from there to the cloud.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3

from simcore.results.tables import create_tables

MS = 10**6
NAMES = ("gateway", "edge", "cloud")
KINDS = ("setup", "reading", "image", "infer", "answer", "result", "shown")
RIGHT = {"device": 0.8, "edge": 0.93, "cloud": 0.985}
POWER = {"idle": 0.001, "active": 0.06, "tx": 0.3, "rx": 0.15}
"""W."""


class _Inferring:
    """What happens in one run."""

    def __init__(self, connection, policy, seed, devices):
        self.random = random.Random(f"{policy} {seed}")
        self.policy, self.devices = policy, devices
        self.insert = connection.execute
        self.names = [*(f"meter-{i}" for i in range(devices)), *NAMES]
        self.counters = dict.fromkeys(self.names, 0)
        self.free = {"edge": 0, "cloud": 0}

    def message(self, source, to, kind, sent, took, size, cause=None, spent=(0, 0), fate=0):
        """One message; what it is called, and when it came."""
        self.counters[source] += 1
        number = self.counters[source]
        ids = self.names.index(source), self.names.index(to)
        self.insert(
            "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?)",
            (sent + took, ids[0], number, ids[1], KINDS.index(kind), size, "{}", sent, fate),
        )
        if cause or any(spent):
            because, origin = cause or ((None, None), sent)
            row = (ids[0], number, origin, *because, 0, *spent)
            self.insert("INSERT INTO trail VALUES (?,?,?,?,?,?,?,?)", row)
        return (ids[0], number), sent + took

    def image(self, device, n):
        """One image of a device, from its sample to the final answer."""
        draw, name = self.random, f"meter-{device}"
        sampled = n * 1000 * MS + device * 3 * MS
        truth = draw.randrange(10)
        own = self.label("device", truth) if self.policy not in ("edge", "cloud") else None
        sure = draw.random() if own == truth else draw.random() * 0.65
        confidence = round(0.4 + 0.6 * sure, 3)
        sent = sampled + (14 if own is not None else 2) * MS
        row = [device, n, sampled, sent]
        if self.policy == "device" or (self.policy == "confidence" and confidence >= 0.7):
            request, _ = self.message(
                name, "gateway", "reading", sent, self.radio(), 16, spent=(0, 12 * MS)
            )
            self.inference(*row, sent, "device", "sure", own, confidence, truth, own, request[1])
            return
        lost = 5 if draw.random() < 0.02 else 0
        request, at = self.message(
            name,
            "gateway",
            "image",
            sent,
            self.radio(),
            72,
            fate=2 if lost else 0,
            spent=(0, 0 if own is None else 12 * MS),
        )
        if lost:
            ended = None if own is None else sent
            place, why = (None, None) if own is None else ("device", "no answer")
            self.inference(*row, ended, place, why, own, confidence, truth, own, request[1])
            return
        cause, places = request, ["cloud"] if self.policy == "cloud" else ["edge"]
        while places:
            place = places.pop()
            cause, at = self.asked(place, cause, sent, at)
            label = self.label(place, truth)
            if place == "edge" and self.policy == "confidence" and draw.random() < 0.4:
                places.append("cloud")
        answer, at = self.message("gateway", name, "result", at, self.radio(), 16, (cause, sent))
        self.message(name, "gateway", "shown", at, self.radio(), 8, (answer, sent))
        why = f"asked {place}"
        self.inference(*row, at, place, why, label, 0.98, truth, own, request[1], *answer)

    def asked(self, place, cause, origin, at):
        """Ask a model; its answer, and when that came."""
        way = (1 if place == "edge" else 38) * MS
        cause, at = self.message("gateway", place, "infer", at, way, 72, (cause, origin))
        computing = (9 if place == "edge" else 16) * MS
        waited = max(0, self.free[place] - at)
        self.free[place] = at + waited + computing
        spent = (waited, computing)
        return self.message(
            place, "gateway", "answer", at + sum(spent), way, 16, (cause, origin), spent
        )

    def inference(self, *values):
        self.insert(
            "INSERT INTO inference VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (*values, *[None] * (14 - len(values))),
        )

    def radio(self):
        return 8 * MS + int(self.random.expovariate(1 / 4) * MS)

    def label(self, place, truth):
        return truth if self.random.random() < RIGHT[place] else self.random.randrange(10)


def write_inferring(connection, policy, seed, *, devices=3, images=40, energy=True, fault=True):
    """Fill a database."""
    create_tables(connection)
    run = _Inferring(connection, policy, seed, devices)
    tiers = {"edge": "edge", "cloud": "cloud", "gateway": "edge"}
    for id, name in enumerate(run.names):
        group = name.partition("-")[0]
        row = (id, name, group, tiers.get(name, "device"), "python_model")
        connection.execute("INSERT INTO node VALUES (?,?,?,?,?)", row)
    connection.executemany("INSERT INTO kind VALUES (?,?)", enumerate(KINDS))
    for n in range(1, images + 1):
        for device in range(devices):
            run.image(device, n)
    if energy:
        for device in range(devices):
            connection.execute(
                "INSERT INTO meter VALUES (?,0.001,0.06,NULL,1e-5,5e-6,0,NULL)", (device,)
            )
            asks = 1 if policy in ("edge", "cloud") else 0.5 if policy == "confidence" else 0
            times = {"idle": 0.9, "active": 0.01, "tx": 0.002 + 0.006 * asks, "rx": 0.004 * asks}
            for part, seconds in times.items():
                s = seconds * images
                row = (device, 1, part, POWER[part] * s, int(s * 1e9), 0, 0)
                connection.execute("INSERT INTO energy VALUES (?,?,?,?,?,?,?)", row)
    if fault:
        link = "meter-0->gateway"
        for at, number, phase in ((10_000, 1, "begin"), (12_500, 2, "end")):
            row = (at * MS, number, phase, "link_degraded", link, '{"loss":0.5}')
            connection.execute("INSERT INTO fault VALUES (?,?,?,?,?,?)", row)


def manifest(policy, seed, *, name="placement", images=40, **more):
    """The manifest of such a run."""
    return {
        "format": 1,
        "simcore": "0.1.0",
        "scenario": {"name": name, "description": "Digits, read somewhere.", "path": "p.yaml"},
        "resolved": {
            "simcore": 1,
            "name": name,
            "seed": seed,
            "placement": {"policy": policy, "deadline": "60ms", "devices": "meter"},
        },
        "seed": seed,
        "duration_ns": (images + 1) * 1000 * MS,
        "determinism": "exact",
        "digest": hashlib.sha256(f"{name} {policy} {seed}".encode()).hexdigest(),
        "exit": {"reason": "completed", "code": 0, "message": None},
        "times": {"virtual_ns": (images + 1) * 1000 * MS, "wall_s": 0.2, "started": "2026-01-01"},
        **more,
    }


def make_inferring(directory, policy="confidence", seed=1, *, told=None, images=40, **options):
    """Make a run directory."""
    directory.mkdir(parents=True)
    document = {**manifest(policy, seed, images=images), **(told or {})}
    (directory / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    connection = sqlite3.connect(directory / "run.sqlite")
    write_inferring(connection, policy, seed, images=images, **options)
    connection.commit()
    connection.close()
    return directory
