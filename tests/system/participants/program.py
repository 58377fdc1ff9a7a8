"""A participant that speaks the protocol byte by byte and, told to, does one thing wrong.

    python program.py [MODE]

Without a mode it answers each message with a `pong`. Standard library only: it shares nothing
with simcore but the protocol.
"""

# ruff: noqa: T201 - what it prints is its log

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

AT = 3
"""Number of the ADVANCE at which it goes wrong."""


class Wire:
    def __init__(self):
        kind, _, place = os.environ["SIMCORE_ADDRESS"].partition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(place)
        else:
            host, port = place.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.file = self.socket.makefile("rb")

    def send(self, frame):
        self.socket.sendall(json.dumps(frame).encode() + b"\n")

    def receive(self):
        line = self.file.readline()
        if not line:
            sys.exit(1)
        return json.loads(line)

    def hello(self, **changes):
        token, name = os.environ["SIMCORE_TOKEN"], os.environ["SIMCORE_NAME"]
        self.send({"type": "HELLO", "protocol": 1, "token": token, "name": name} | changes)


def say(word):
    """Tell the test."""
    with open(os.environ["READY"], "w") as pipe:
        pipe.write(word + "\n")


def hang():
    while True:
        signal.pause()


# -- before it is connected


def exits_at_once():
    print("no configuration found", flush=True)
    sys.exit(7)


def never_connects():
    hang()


def wrong_token():
    Wire().hello(token="0" * 32)
    hang()


def wrong_token_first():
    wire = Wire()
    wire.hello(token="0" * 32)
    error = wire.receive()
    assert error["type"] == "ERROR" and not wire.file.read()


def long_hello():
    wire = Wire()
    wire.hello(name="x" * 5000)
    assert wire.receive()["type"] == "ERROR"


def connects_and_says_nothing():
    half_open.append(Wire())  # to the end of the run


half_open = []


def exits_before_ready():
    wire = Wire()
    wire.hello()
    wire.receive()
    sys.exit(0)


BEFORE = [exits_at_once, never_connects, wrong_token, wrong_token_first, long_hello,
          connects_and_says_nothing, exits_before_ready]  # fmt: skip


# -- READY


def another_kind(ready):
    ready["kind"] = "network"


def grain_of_a_reactive(ready):
    ready["grain"] = 1000


def next_of_a_free_running(ready):
    ready["next"] = 5


def misspelt_ready(ready):
    ready["nxt"] = 5


READY = [another_kind, grain_of_a_reactive, next_of_a_free_running, misspelt_ready]


# -- the AT-th ADVANCE: changes the answer, or gives none


def exits(wire, advance, done):
    sys.exit(3)


def exits_in_the_middle_of_a_line(wire, advance, done):
    wire.socket.sendall(b'{"type": "DO')
    sys.exit(3)


def killed(wire, advance, done):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGSEGV)


def hangs(wire, advance, done):
    say("reached")
    hang()


def stopped(wire, advance, done):
    os.kill(os.getpid(), signal.SIGSTOP)


def late(wire, advance, done):
    time.sleep(100)  # simcore has ended it long before


def slow_line(wire, advance, done):
    line = json.dumps(done).encode() + b"\n"
    for i in range(len(line)):
        wire.socket.sendall(line[i : i + 1])
        time.sleep(0.2)


def invalid_json(wire, advance, done):
    wire.socket.sendall(b"{now: soon}\n")
    hang()


def not_utf8(wire, advance, done):
    wire.socket.sendall(b'{"type": "DONE\xff"}\n')
    hang()


def not_a_number(wire, advance, done):
    done["measures"] = [{"at": done["now"], "name": "heat", "value": float("nan")}]


def wrong_sequence(wire, advance, done):
    done["seq"] = 17


def old_sequence(wire, advance, done):
    done["seq"] = 1


def done_unasked(wire, advance, done):
    line = json.dumps(done).encode() + b"\n"
    wire.socket.sendall(line + line)
    hang()


def wrong_now(wire, advance, done):
    done["now"] += 1


def next_in_the_past(wire, advance, done):
    done["next"] = done["now"] - 1


def output_in_the_past(wire, advance, done):
    done["outputs"][0]["at"] = advance["until"] - 1


def output_outside_the_window(wire, advance, done):
    done["outputs"] = [{"at": advance["until"], "dst": "sensor", "kind": "pong"}]


def output_before_the_window(wire, advance, done):
    done["outputs"] = [{"at": 1, "dst": "sensor", "kind": "pong"}]


def measure_in_the_past(wire, advance, done):
    done["measures"] = [{"at": 1, "name": "heat", "value": 1}]


def unknown_destination(wire, advance, done):
    done["outputs"][0]["dst"] = "sensr"


def foreign_source(wire, advance, done):
    done["outputs"][0]["src"] = "sensor"


def unknown_cause(wire, advance, done):
    done["outputs"][0]["cause"] = "sensor/99"


def bad_payload(wire, advance, done):
    done["outputs"][0]["payload"] = {"image": {"$b64": "no base64!"}}


def deep_payload(wire, advance, done):
    payload = 1
    for _ in range(70):
        payload = [payload]
    done["outputs"][0]["payload"] = payload


def misspelt(wire, advance, done):
    done["outputs"][0]["dest"] = done["outputs"][0].pop("dst")


def another_frame(wire, advance, done):
    done.clear()
    done["type"] = "BYE"


def long_line(wire, advance, done):
    wire.socket.sendall(b'"' + b"x" * (17 * 2**20) + b'"\n')
    hang()


def endless_line(wire, advance, done):
    chunk = b"x" * 2**20
    try:
        for _ in range(1024):
            wire.socket.sendall(chunk)
    except OSError:
        pass
    hang()


def stops_sending(wire, advance, done):
    wire.socket.shutdown(socket.SHUT_WR)
    hang()


def stops_reading(wire, advance, done):
    wire.socket.shutdown(socket.SHUT_RD)
    wire.send(done)
    hang()


def closes(wire, advance, done):
    wire.file.close()
    wire.socket.close()
    hang()


def leaves_a_grandchild(wire, advance, done):
    subprocess.Popen(["sleep", "1000"], pass_fds=[wire.socket.fileno()], start_new_session=True)
    sys.exit(5)


def gives_up(wire, advance, done):
    wire.send({"type": "ERROR", "message": "the sensor is on fire", "detail": "42 degrees"})
    sys.exit(1)


def gives_up_later(wire, advance, done):
    lines = [done, {"type": "ERROR", "message": "sink burnt down", "detail": ""}]
    wire.socket.sendall("".join(json.dumps(each) + "\n" for each in lines).encode())
    sys.exit(1)


def killed_after_its_answer(wire, advance, done):
    wire.send(done)
    os.kill(os.getpid(), signal.SIGKILL)


def never_reads(wire, advance, done):
    wire.send(done)
    hang()


def floods(wire, advance, done):
    line = "x" * 999 + "\n"
    for _ in range(20_000):
        sys.stdout.write(line)
    print("the flood is over", flush=True)


AT_ADVANCE = [
    exits, exits_in_the_middle_of_a_line, killed, hangs, stopped, late, slow_line, invalid_json,
    not_utf8, not_a_number, wrong_sequence, old_sequence, done_unasked, wrong_now,
    next_in_the_past, output_in_the_past, output_outside_the_window, output_before_the_window,
    measure_in_the_past, unknown_destination, foreign_source, unknown_cause, bad_payload,
    deep_payload, misspelt, another_frame, long_line, endless_line, stops_sending, stops_reading,
    closes, leaves_a_grandchild, gives_up, gives_up_later, never_reads, floods, killed_after_its_answer,
]  # fmt: skip


# -- SHUTDOWN


def ends_badly(wire):
    wire.send({"type": "BYE"})
    sys.exit(4)


def never_ends(wire):
    wire.send({"type": "BYE"})
    say("reached")
    hang()


def no_bye(wire):
    sys.exit(0)


def done_instead_of_bye(wire):
    wire.send({"type": "DONE", "seq": 1, "now": 0})
    hang()


AT_END = [ends_badly, never_ends, no_bye, done_instead_of_bye]


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "good"
    kind = sys.argv[2] if len(sys.argv) > 2 else "reactive"
    modes = {
        phase: {each.__name__: each for each in found}.get(mode, lambda *_: None)
        for phase, found in
        {"before": BEFORE, "ready": READY, "advance": AT_ADVANCE, "end": AT_END}.items()
    }  # fmt: skip
    print("started as", mode, flush=True)
    modes["before"]()
    wire = Wire()
    wire.hello()
    wire.receive()
    ready = {"type": "READY", "kind": kind}
    modes["ready"](ready)
    wire.send(ready)
    while True:
        frame = wire.receive()
        if frame["type"] == "SHUTDOWN":
            modes["end"](wire)
            wire.send({"type": "BYE"})
            return
        if frame["type"] == "ERROR":
            sys.exit(frame["message"])
        print("advance", frame["seq"], flush=True)
        done = {"type": "DONE", "seq": frame["seq"], "now": frame["until"], "outputs": []}
        for each in frame["inputs"]:
            pong = {"at": each["at"], "dst": each["src"], "kind": "pong", "cause": each["id"]}
            done["outputs"].append(pong)
        if frame["seq"] == AT:
            modes["advance"](wire, frame, done)
        wire.send(done)


if __name__ == "__main__":
    main()
