"""Frames: what is read, what is refused and why, and what is written; the published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from msgspec import Raw
from support import PATIENCE, ROOT

from simcore.protocol import frames
from simcore.protocol.frames import ProtocolError
from simcore.protocol.schema import wire_schema, wire_schema_text

DONE = {"type": "DONE", "seq": 1, "now": 5}
OUTPUT = {"at": 5, "dst": "a", "kind": "k"}
MEASURE = {"at": 5, "name": "m", "value": 1}


def line(frame: Any) -> bytes:
    return frame if isinstance(frame, bytes) else json.dumps(frame).encode()


def done(kind: frames.Kind = "reactive", **fields: Any) -> Any:
    return frames.done_decoder(kind)(line({**DONE, **fields}))


def test_done_is_read() -> None:
    output = {**OUTPUT, "payload": {"a": 1}, "size": 3, "cause": "b/1", "spent": [1, 2], "src": "c"}
    found = done(outputs=[OUTPUT, output], measures=[MEASURE, {**MEASURE, "node": "c"}], next=7)
    assert (found.seq, found.now, found.next) == (1, 5, 7)
    plain, full = found.outputs
    assert bytes(plain.payload) == b"null"
    assert plain == frames.Output(5, "a", "k", payload=plain.payload)
    assert (plain.src, plain.size, plain.cause, plain.spent) == (None, None, None, None)
    assert bytes(full.payload) == b'{"a": 1}'
    assert (full.src, full.size, full.cause, full.spent) == ("c", 3, "b/1", (1, 2))
    assert found.measures == [frames.Measure(5, "m", 1), frames.Measure(5, "m", 1, "c")]


def test_what_may_be_left_out_may_be_null() -> None:
    nothing = dict.fromkeys(("src", "size", "cause", "spent"))
    found = done(outputs=[{**OUTPUT, **nothing}], measures=[{**MEASURE, "node": None}], next=None)
    assert found == done(outputs=[OUTPUT], measures=[MEASURE])


def test_the_done_of_a_network_is_read() -> None:
    fates = [{"at": 5, "id": "a/1"}, {"at": 4, "id": "a/2", "fate": "loss"}]
    found = done("network", outputs=fates, next=9)
    assert found.outputs == [frames.Delivery(5, "a/1"), frames.Delivery(4, "a/2", "loss")]


@pytest.mark.parametrize("value", [True, 3, 2.5, "text", 2**63 - 1])
def test_values_of_measurements_keep_their_type(value: Any) -> None:
    (found,) = done(measures=[{**MEASURE, "value": value}]).measures
    assert type(found.value) is type(value) and found.value == value


def test_an_error_comes_in_place_of_an_answer() -> None:
    error = frames.Error("no file x", "Traceback ...")
    for decode in (frames.done_decoder("network"), frames.decode_ready, frames.decode_bye):
        assert decode(line({"type": "ERROR", "message": "no file x", "detail": "Traceback ..."}))\
            == error  # fmt: skip
    with pytest.raises(ProtocolError, match="the participant says: no file x") as caught:
        frames.decode_hello(line({"type": "ERROR", "message": "no file x"}))
    assert caught.value.rule == "participant-error"


@pytest.mark.parametrize(
    ("frame", "rule", "message"),
    [
        (b"", "invalid-json", "DONE was expected, and an empty line came"),
        (b"  ", "invalid-json", "DONE was expected, and an empty line came"),
        (b"hello", "invalid-json", "no JSON came: invalid character (byte 0): 'hello'"),
        (b'{"type":"DONE","seq":1', "invalid-json", "no JSON came: it is truncated: '{"),
        (b'{"type":"DONE"} x', "invalid-json", "trailing characters (byte 17)"),
        (b"\xff\xfe", "invalid-json", "invalid character (byte 0): '\ufffd\ufffd'"),
        (b'{"type":"DONE","seq":1,"now":5,"outputs":[{"at":5,"dst":"\xff"}]}', "invalid-json",
         "it is not UTF-8"),
        (b'{"type":"DONE","seq":"\\ud800"}', "invalid-json", "half of a surrogate pair"),
        (b'{"type":"DONE","seq":1,"now":5,"outputs":[{"payload":NaN}]}', "invalid-json",
         "invalid character"),
        (b'{"type":"DONE","outputs":[{"payload":' + b"[" * 200_000 + b"]" * 200_000 + b"}]}",
         "invalid-json", "it is nested too deep"),
        (b"[1]", "frame-shape", "DONE was expected, and '[1]' came"),
        (b"3", "frame-shape", "DONE was expected, and '3' came"),
        ({}, "frame-shape", "DONE was expected, and a frame without type came"),
        ({"type": None}, "frame-order", "DONE was expected, and a frame of type None came"),
        ({"type": "done"}, "frame-order", "DONE was expected, and a frame of type 'done' came"),
        ({"type": "READY", "kind": "reactive"}, "frame-order", "DONE was expected, and READY came"),
        ({"type": "HELLO"}, "frame-order", "DONE was expected, and HELLO came"),
        ({"type": "DONE", "now": 5}, "frame-shape", "DONE: object missing required field seq"),
        ({**DONE, "seq": 0}, "frame-shape", "DONE: seq: expected int >= 1"),
        ({**DONE, "seq": True}, "frame-shape", "DONE: seq: expected int, got bool"),
        ({**DONE, "now": 5.0}, "frame-shape", "DONE: now: expected int, got float"),
        ({**DONE, "now": -1}, "frame-shape", "DONE: now: expected int >= 0"),
        ({**DONE, "now": 2**53}, "frame-shape", "DONE: now: expected int <= 9007199254740991"),
        ({**DONE, "next": "5"}, "frame-shape", "DONE: next: expected int | null, got str"),
        ({**DONE, "output": []}, "frame-shape", "DONE: object contains unknown field output"),
        ({**DONE, "outputs": {}}, "frame-shape", "DONE: outputs: expected array, got object"),
        ({**DONE, "outputs": [OUTPUT, OUTPUT, {**OUTPUT, "at": "5"}]}, "frame-shape",
         "DONE: outputs[2].at: expected int, got str"),
        ({**DONE, "outputs": [{"at": 5, "dst": "a"}]}, "frame-shape",
         "DONE: outputs[0]: object missing required field kind"),
        ({**DONE, "outputs": [{**OUTPUT, "couse": "a/1"}]}, "frame-shape",
         "DONE: outputs[0]: object contains unknown field couse"),
        ({**DONE, "outputs": [{**OUTPUT, "dst": ""}]}, "frame-shape",
         "DONE: outputs[0].dst: expected str of length >= 1"),
        ({**DONE, "outputs": [{**OUTPUT, "size": 2**40}]}, "frame-shape", "outputs[0].size"),
        ({**DONE, "outputs": [{**OUTPUT, "spent": [1]}]}, "frame-shape",
         "DONE: outputs[0].spent: expected array of length 2"),
        ({**DONE, "outputs": [{**OUTPUT, "spent": [1, -2]}]}, "frame-shape",
         "DONE: outputs[0].spent[1]: expected int >= 0"),
        ({**DONE, "measures": [{**MEASURE, "value": None}]}, "frame-shape", "measures[0].value"),
        ({**DONE, "measures": [{**MEASURE, "name": ""}]}, "frame-shape", "measures[0].name"),
        ({"type": "ERROR"}, "frame-shape", "ERROR: object missing required field message"),
    ],
    ids=str,
)  # fmt: skip
def test_each_bad_shape_is_named(frame: Any, rule: str, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        frames.done_decoder("reactive")(line(frame))
    assert caught.value.rule == rule
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_network_sends_no_payload_and_others_no_fate() -> None:
    with pytest.raises(ProtocolError, match="unknown field dst"):
        done("network", outputs=[{"at": 5, "id": "a/1", "dst": "b"}])
    with pytest.raises(ProtocolError, match="invalid enum value 'gone'"):
        done("network", outputs=[{"at": 5, "id": "a/1", "fate": "gone"}])
    with pytest.raises(ProtocolError, match="unknown field id"):
        done(outputs=[{"at": 5, "id": "a/1"}])


@pytest.mark.parametrize(
    ("frame", "rule", "message"),
    [
        ({"type": "READY"}, "frame-shape", "READY: object missing required field kind"),
        (
            {"type": "READY", "kind": "lazy"},
            "frame-shape",
            "READY: kind: invalid enum value 'lazy'",
        ),
        ({"type": "READY", "kind": "reactive", "grain": 0}, "frame-shape", "READY: grain"),
        (DONE, "frame-order", "READY was expected, and DONE came"),
    ],
    ids=str,
)
def test_a_bad_ready_is_named(frame: Any, rule: str, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        frames.decode_ready(line(frame))
    assert caught.value.rule == rule and message in str(caught.value)


def test_hello_of_another_version_is_refused() -> None:
    hello = {"type": "HELLO", "protocol": 1, "token": "t", "name": "n"}
    assert frames.decode_hello(line(hello)) == frames.Hello(1, "t", "n")
    with pytest.raises(ProtocolError, match="protocol 2: this simcore speaks protocol 1") as caught:
        frames.decode_hello(line({**hello, "protocol": 2}))
    assert caught.value.rule == "protocol-version"


def test_frames_are_written_compactly_and_payloads_are_not_read() -> None:
    message = frames.Input(7, "a/1", "a", "b", "k", Raw(b'{"x":1e22}'), 10, 3)
    assert frames.encode(frames.Advance(2, 7, [message])) == (
        b'{"type":"ADVANCE","seq":2,"until":7,"inputs":[{"at":7,"id":"a/1","src":"a","dst":"b",'
        b'"kind":"k","payload":{"x":1e22},"size":10,"sent":3}]}\n'
    )
    entering = frames.NetworkInput(7, "a/1", "a", "b", 10, 7)
    assert frames.encode(frames.NetworkAdvance(2, 9, [entering])) == (
        b'{"type":"ADVANCE","seq":2,"until":9,"inputs":[{"at":7,"id":"a/1","src":"a","dst":"b",'
        b'"size":10,"sent":7}]}\n'
    )
    assert frames.encode(frames.Shutdown()) == b'{"type":"SHUTDOWN"}\n'


def test_a_line_above_the_limit_is_not_written() -> None:
    fits = "x" * (frames.MAX_LINE - len(frames.encode(frames.Error(""))) + 1)
    assert len(frames.encode(frames.Error(fits))) == frames.MAX_LINE + 1
    with pytest.raises(ProtocolError, match="ERROR: 16777217 bytes are more than 16 MiB") as caught:
        frames.encode(frames.Error(fits + "x"))
    assert caught.value.rule == "line-too-long"


# -- the published schema

SAMPLES = [
    frames.Hello(1, "t", "n"),
    frames.Init(name="n", nodes=["a", "b"], seed=3, time=0, end=10, config={"x": [1, {"y": None}]}),
    frames.Ready("free_running", grain=1000),
    frames.Ready("reactive", 5),
    frames.Advance(1, 7, [frames.Input(7, "a/1", "a", "b", "k", Raw(b'{"x":[1]}'), 10, 3)]),
    frames.NetworkAdvance(1, 7, [frames.NetworkInput(6, "a/1", "a", "b", 10, 3)]),
    frames.Done(1, 7, 9, [frames.Output(7, "b", "k", Raw(b"3"), "a", 5, "c/1", (1, 2))]),
    frames.Done(1, 7, None, [], [frames.Measure(7, "m", 2.5, "a")]),
    frames.NetworkDone(1, 7, 9, [frames.Delivery(7, "a/1"), frames.Delivery(6, "a/2", "loss")]),
    frames.Shutdown(),
    frames.Bye(),
    frames.Error("m", "d"),
]


def test_the_published_schema_is_the_generated_one() -> None:
    command = [sys.executable, "-m", "simcore", "schema", "--wire"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert made.stdout == wire_schema_text()
    assert (ROOT / "schemas/wire.schema.json").read_text() == made.stdout, (
        "regenerate it: python -m simcore schema --wire > schemas/wire.schema.json"
    )


@pytest.mark.parametrize("frame", SAMPLES, ids=lambda frame: type(frame).__name__)
def test_the_schema_accepts_real_frames(frame: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(wire_schema())
    jsonschema.validate(json.loads(frames.encode(frame)), wire_schema())


@pytest.mark.parametrize("frame", SAMPLES, ids=lambda frame: type(frame).__name__)
def test_the_schema_lets_simcore_add_fields_and_nobody_else(frame: Any) -> None:
    more = {**json.loads(frames.encode(frame)), "zz": 1}
    ours = isinstance(frame, (frames.Init, frames.Advance, frames.NetworkAdvance, frames.Shutdown))
    assert jsonschema.Draft202012Validator(wire_schema()).is_valid(more) is ours


def test_each_field_and_frame_is_described() -> None:
    for name, part in wire_schema()["$defs"].items():
        assert part["description"].endswith("."), name
        for key, field in part.get("properties", {}).items():
            assert "description" in field or key == "type", (name, key)


def test_the_page_names_each_field() -> None:
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    for part in wire_schema()["$defs"].values():
        for key in part.get("properties", {}):
            assert f"`{key}`" in page, key
