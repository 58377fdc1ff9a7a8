"""A device in Python: how it starts, samples and acts, beside a dispatcher that does as it is told.

meter ---- desk
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from worlds import both, play, world

from simcore import ModelError, UsageError
from simcore.extensions import placement
from simcore.payload import thaw

IMAGES = [bytes([i]) for i in range(5)]


def classify(image: bytes) -> tuple[int, int]:
    return image[0], 500 + 100 * image[0]


def run(desk: Any, *, lasts: str = "4500ms", loss: Any = 0, **keys: Any) -> Any:
    def meter(node: Any) -> Any:
        def show(label: Any) -> None:
            node.record("shows", label)

        yield from placement.device(
            node, IMAGES, to="desk", show=show, **{"classify": classify} | keys
        )

    return play(
        world(
            {"meter": meter, "desk": desk}, [both("meter", "desk", "10ms", loss=loss)], lasts=lasts
        )
    )


def heard(told: Any) -> list[Any]:
    """What the device sent, as (ms, kind, payload, bytes)."""
    rows = [(m[6] // 10**6, m[3], m[5], m[4]) for m in told.messages(to="desk")]
    return sorted(rows)


def setting_up(text: str, answer: Any = None) -> Any:
    def desk(node: Any) -> Any:
        while True:
            message = yield node.receive()
            if message.kind == "boot":
                node.reply(message, "setup", text)
            elif message.kind == "image" and answer is not None:
                node.reply(message, "result", answer(message.payload))

    return desk


def test_it_boots_samples_and_keeps_what_it_is_sure_of():
    told = run(setting_up("rule confidence 700; next 6; period 1000"), cost="5ms")
    assert heard(told) == [
        (0, "boot", '{"at":0,"firmware":"reader","version":1}', 40),
        (1025, "image", '{"at":1020000,"confidence":0.6,"image":{"$b64":"AQ=="},"index":1,'
         '"label":1,"n":1,"why":"unsure"}', 76),
        (2025, "reading", '{"at":2020000,"confidence":0.7,"index":2,"label":2,"n":2,"why":"sure"}', 16),
        (3025, "reading", '{"at":3020000,"confidence":0.8,"index":3,"label":3,"n":3,"why":"sure"}', 16),
        (4025, "reading", '{"at":4020000,"confidence":0.9,"index":4,"label":4,"n":4,"why":"sure"}', 16),
    ]  # fmt: skip
    assert told.measured("shows") == [1, 2, 3, 4]


def test_the_first_sample_is_taken_when_it_is_told():
    told = run(setting_up("rule local; period 1000; first 100"), lasts="3s")
    assert [at for at, kind, *_ in heard(told) if kind == "reading"] == [120, 1120, 2120]


def test_it_acts_on_results_and_says_so():
    def answer(image: Any) -> Any:
        rule = {"rule": "local"} if image["n"] == 2 else {"rule": "nonsense"}
        return {"n": image["n"], "label": 9, "confidence": 1.0, "place": "edge", "why": "x"} | rule

    told = run(setting_up("rule remote; period 500", answer), lasts="2s")
    assert [(ms, kind, size) for ms, kind, _, size in heard(told)] == [
        (0, "boot", 40),
        (520, "image", 72),
        (540, "shown", 8),
        (1020, "image", 72),
        (1040, "shown", 8),
        (1520, "reading", 16),  # by its new rule
    ]
    assert told.measured("shows") == [9, 9, 2]
    quiet = run(setting_up("rule remote; period 500; quiet", answer), lasts="2s")
    assert "shown" not in [kind for _, kind, _, _ in heard(quiet)]


def test_it_asks_for_a_rule_until_it_has_one_and_takes_no_second():
    def desk(node: Any) -> Any:
        for _ in range(3):
            message = yield node.receive()
        node.reply(message, "setup", 7)
        node.reply(message, "setup", "rule nonsense")
        node.reply(message, "result", {"n": 1, "label": 3})
        yield node.sleep("100ms")
        node.reply(message, "setup", "rule local; next 3")
        node.reply(message, "setup", "rule remote; next 1")
        node.reply(message, "result", [])
        node.reply(message, "hello")

    told = run(desk)
    assert [(ms, kind) for ms, kind, _, _ in heard(told)] == [
        (0, "boot"), (1000, "boot"), (2000, "boot"), (3120, "reading"), (4120, "reading"),
    ]  # fmt: skip
    assert [thaw(text)["at"] for _, kind, text, _ in heard(told) if kind == "boot"] == [
        0, 1_000_000, 2_000_000,
    ]  # fmt: skip
    assert '"index":3' in heard(told)[3][2]


def test_samples_that_computing_misses_are_not_made_up_for():
    told = run(setting_up("rule local; period 100"), cost="250ms", lasts="1s")
    assert [ms for ms, kind, _, _ in heard(told) if kind == "reading"] == [370, 670, 970]


def test_a_deadline_that_is_missed_keeps_it_from_asking():
    told = run(setting_up("rule latency 30; period 100"), lasts="1500ms")
    whys = [
        text.split('"why":')[1] for _, kind, text, _ in heard(told) if kind in ("image", "reading")
    ]
    assert whys == ['"in time"}', *['"late"}'] * 8, '"probe"}', *['"late"}'] * 4]


def test_a_device_that_cannot_compute():
    told = run(setting_up("rule remote"), classify=None)
    assert [kind for _, kind, _, _ in heard(told)] == ["boot", *["image"] * 4]
    with pytest.raises(
        (ModelError, UsageError), match="meter cannot compute, and its rule is 'both'"
    ):
        run(setting_up("rule both"), classify=None)


def test_a_device_that_crashes_starts_anew():
    def meter(node: Any) -> Any:
        yield from placement.device(node, IMAGES, classify, cost="5ms", to="desk")

    told = play(
        world(
            {"meter": meter, "desk": setting_up("rule local")},
            [both("meter", "desk", "10ms")],
            lasts="4s",
            faults=[{"at": "1022ms", "for": "500ms", "node": "meter", "crash": True}],
        )
    )
    assert [(ms, kind) for ms, kind, _, _ in heard(told)] == [
        (0, "boot"), (1522, "boot"), (2547, "reading"), (3547, "reading"),
    ]  # fmt: skip
    assert '"at":0' in heard(told)[1][2]  # the clock of the new life
    assert '"at":1020000' in heard(told)[2][2]
    assert '"n":1' in heard(told)[2][2]


def test_without_placement_it_has_nobody_to_talk_to():
    def meter(node: Any) -> Any:
        yield from placement.device(node, IMAGES, classify)

    with pytest.raises(UsageError, match="meter is a device, and the scenario has no 'placement'"):
        play(world({"meter": meter}))


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (lambda _: (3, 0.7), r"said \(3, 0.7\): a label and how sure it is are needed, per mille"),
        (lambda _: (3, 1001), r"said \(3, 1001\): "),
        (lambda _: (3, -1), r"said \(3, -1\): "),
        (lambda _: (3, "700"), r"said \(3, '700'\): "),
        (lambda _: (3,), r"said \(3,\): "),
        (lambda _: None, "said None: "),
        (lambda _: 1 // 0, "raised ZeroDivisionError: "),
    ],
)
def test_what_classifies_and_makes_no_sense_is_named(said, what):
    desk = setting_up("rule confidence 700; next 6; period 1000")
    with pytest.raises(ModelError, match=f"^what meter classifies with {what}") as caught:
        run(desk, classify=said, cost="5ms")
    assert (caught.value.node, caught.value.now) == ("meter", 1_025_000_000)


def test_a_confidence_may_be_any_whole_number():
    desk = setting_up("rule confidence 700; next 6; period 1000")
    assert heard(run(desk, classify=lambda _: (3, np.int32(800)))) == heard(
        run(desk, classify=lambda _: (3, 800))
    )


def test_a_device_needs_images():
    def meter(node: Any) -> Any:
        yield from placement.device(node, (), classify, to="desk")

    with pytest.raises(UsageError, match="meter has no images: give placement.device at least one"):
        play(world({"meter": meter, "desk": setting_up("")}))


def test_nothing_else_is_to_be_had_here():
    with pytest.raises(AttributeError, match="has no attribute 'devise'"):
        _ = placement.devise
