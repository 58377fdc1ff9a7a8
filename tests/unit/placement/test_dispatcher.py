"""The dispatcher, driven by hand: what it sends for what comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from simcore_backends.services.placement import IMAGES, PATIENCE, Dispatcher

from simcore import ModelError, UsageError
from simcore.payload import freeze, thaw
from simcore.protocol.service import ServiceHost

MS = 10**6
PIXELS = bytes(range(64))


class Came(NamedTuple):
    source: str
    kind: str
    payload: Any
    id: str = "x/1"
    size: int = 1
    sent: int | None = None
    """When, ns; None: it takes no time to come."""


class Desk:
    """A dispatcher, and what it has sent since it was looked at last."""

    def __init__(self, base: Path = Path(), **placement: Any) -> None:
        value = {"policy": "confidence", "threshold": "80%", "edge": "e", "cloud": "c"}
        value = {key: item for key, item in (value | placement).items() if item is not None}
        self.now = -MS
        self.unexpected: list[Any] = []
        self.host = ServiceHost(
            Dispatcher(), name="gateway", seed=1, config={"placement": value}, base=base,
            freeze=freeze,
        )  # fmt: skip
        self.boot()

    def advance(self, *came: Came, at: int | None = None) -> list[tuple[Any, ...]]:
        self.now = self.now + MS if at is None else at
        arrived = [each._replace(sent=self.now) if each.sent is None else each for each in came]
        done = self.host.advance(self.now, arrived)
        self.unexpected += [measure.value for measure in done.measures]
        return [(o.destination, o.kind, thaw(o.payload), o.size) for o in done.outputs]

    def boot(
        self, device: str = "m-0", clock: int | None = 0, sent: int | None = None, at: Any = None
    ) -> list[tuple[Any, ...]]:
        payload = {"firmware": "reader", "version": 1}
        payload |= {} if clock is None else {"at": clock}
        return self.advance(Came(device, "boot", payload, sent=sent), at=at)

    def image(self, n: int = 1, confidence: float | None = None, **keys: Any) -> Any:
        own = {} if confidence is None else {"label": 3, "confidence": confidence}
        payload = {"n": n, "index": 5, "at": 0, "why": "rule", "image": PIXELS} | own | keys
        device, at = payload.pop("device", "m-0"), payload.pop("now", None)
        sent = payload.pop("sent", None)
        return self.advance(Came(device, "image", payload, sent=sent), at=at)

    def answer(self, place: str, confidence: Any = 0.9, **keys: Any) -> Any:
        payload = {"n": 1, "index": 5, "device": "m-0", "label": 8, "confidence": confidence}
        kind, at = keys.pop("kind", "answer"), keys.pop("now", None)
        return self.advance(Came(place, kind, payload | keys), at=at)


def infer(place: str, why: str, n: int = 1, device: str = "m-0") -> tuple[Any, ...]:
    payload = {"n": n, "index": 5, "device": device, "image": PIXELS, "why": why}
    return place, "infer", payload, 72


def result(confidence: float, place: str, why: str, label: int = 8) -> tuple[Any, ...]:
    payload = {"n": 1, "label": label, "confidence": confidence, "place": place, "why": why}
    return "m-0", "result", payload, 16


def test_a_device_that_starts_is_set_up():
    text = "rule confidence 800; next 34; period 1000; first 559"
    assert Desk().boot() == [("m-0", "setup", text, len(text))]
    desk = Desk(period="250ms", acknowledge=False, policy="edge")
    (sent,) = desk.boot("m-1")
    assert sent[2] == "rule remote; next 52; period 250; first 4; quiet"
    assert desk.boot("m-1") == [sent]  # it may not have come
    starts = {int(desk.boot(f"m-{i}")[0][2].split("; ")[1].split()[1]) for i in range(200)}
    assert len(starts) > 90 and max(starts) < IMAGES


def test_an_image_goes_up_and_its_result_comes_back():
    desk = Desk()
    assert desk.image(confidence=0.612) == [infer("e", "confidence 0.612 < 0.8")]
    assert desk.answer("e", 0.7) == [infer("c", "confidence 0.7 < 0.8")]
    assert desk.answer("c", 0.75) == [result(0.75, "cloud", "0.75, the last place")]
    assert desk.unexpected == []


def test_a_device_that_was_sure_enough_is_told_so():
    desk = Desk()
    assert desk.image(confidence=0.9) == [result(0.9, "device", "sure 0.9 >= 0.8", label=3)]


def test_readings_and_acknowledgements_are_taken():
    desk = Desk()
    desk.image(confidence=0.9)
    assert desk.advance(Came("m-0", "shown", {"n": 1, "label": 8})) == []
    assert desk.advance(Came("m-0", "shown", {"n": 1, "label": 8})) == []
    assert desk.advance(Came("m-0", "reading", {"n": 2})) == []
    assert desk.unexpected == []


def test_a_copy_of_an_image_is_passed_over():
    desk = Desk()
    assert desk.image() != []
    assert desk.image() == []
    assert desk.image(at=7) != []  # of another life, in which the boot was lost


def test_a_device_that_starts_again_is_forgotten_first():
    desk = Desk(policy="latency", deadline="150ms")
    desk.boot()
    desk.image(now=100 * MS, at=90_000, confidence=0.5)
    desk.boot(at=510 * MS, sent=500 * MS)
    assert desk.answer("c") == []
    assert desk.unexpected == ["answer"]
    (sent,) = desk.image(now=700 * MS, at=190_000, confidence=0.5)
    assert sent[2]["why"] == "in time, 0 ms <= 140 ms"  # its clock began at 500 ms


SECOND = 1000 * MS


def age(tmp_path: Path, *boots: tuple[int, int | None], at: int, sent: int) -> int:
    """What a policy hears of how old an image is; boots: when they leave, and their clock (us)."""
    desk = desk_of(tmp_path, "Decision('edge', str(ask.elapsed))")
    for left, clock in boots:
        desk.boot("m-1", at=left + 10 * MS, sent=left, clock=clock)
    (image,) = desk.image(at=at, sent=sent, now=sent + 10 * MS, device="m-1")
    return int(image[2]["why"])


@pytest.mark.parametrize("first", [(), ((0, 0),), ((7 * MS, 0), (1008 * MS, 1_000_000))])
@pytest.mark.parametrize("late", [0, 7 * MS, 90 * MS])
def test_how_old_an_image_is_of_a_device_that_has_started_with_the_run(tmp_path, first, late):
    """However late its boots leave, and if the first of them are lost."""
    boots = (*first, (2 * SECOND + late, 2_000_000))
    assert age(tmp_path, *boots, at=2_500_000, sent=2560 * MS) == 70 * MS


@pytest.mark.parametrize(
    ("boots", "started"),
    [
        (((0, 0), (300 * MS, 0)), 300),  # between its setup and its first image
        (((0, 0), (300 * MS, 0), (1300 * MS, 1_000_000)), 300),
        (((0, 0), (1300 * MS, 1_000_000)), 300),  # its first boot was lost
        (((0, 0), (300 * MS, 0), (700 * MS, 0)), 700),
        (((0, 0), (3600 * SECOND, 0)), 3_600_000),
        (((3600 * SECOND, 0),), 3_600_000),  # nothing of it has come before
        (((3605 * SECOND, 5_000_000),), 3_600_000),
        (((0, None), (300 * MS, None)), 300),  # what does not tell its clock has just started
    ],
)
def test_how_old_an_image_is_of_a_device_that_has_started_again(tmp_path, boots, started):
    sent = started * MS + 2560 * MS
    assert age(tmp_path, *boots, at=2_500_000, sent=sent) == 70 * MS


WEEK = 604_800_000_000  # us


@pytest.mark.parametrize(
    ("boots", "elapsed"),
    [
        (((0, WEEK),), 70),
        (((0, WEEK), (SECOND, WEEK + 1_000_000)), 70),
        ((), 10),  # heard by an earlier life of the dispatcher: it goes by the image
    ],
)
def test_how_old_an_image_is_of_a_device_that_runs_longer_than_its_dispatcher(
    tmp_path, boots, elapsed
):
    """As outside of simulations."""
    found = age(tmp_path, *boots, at=WEEK + 2_500_000, sent=2560 * MS)
    assert found == elapsed * MS


def test_no_image_is_taken_after_it_was_sent(tmp_path):
    """A boot that was long on its way makes its clock begin too late."""
    assert age(tmp_path, (5 * SECOND, 0), at=2_000_000, sent=6 * SECOND) == 10 * MS


@pytest.mark.parametrize(("sent", "elapsed"), [(20_020, 30), (25_000, 10)])
def test_a_dispatcher_that_has_heard_no_boot_goes_by_the_image(tmp_path, sent, elapsed):
    desk = desk_of(tmp_path, "Decision('edge', str(ask.elapsed))")
    (image,) = desk.image(at=20_000_000, sent=sent * MS, now=(sent + 10) * MS, device="m-9")
    assert int(image[2]["why"]) == elapsed * MS


def test_a_boot_that_was_overtaken_makes_nothing_forgotten():
    desk = Desk()
    desk.image()
    assert desk.boot(sent=0)[0][1] == "setup"
    assert desk.answer("e") == [result(0.9, "edge", "sure 0.9 >= 0.8")]


@pytest.mark.parametrize("at", [-1, 0.5, "0", None, True])
def test_a_boot_whose_clock_makes_no_sense_is_counted(at):
    desk = Desk()
    assert desk.advance(Came("m-0", "boot", {"firmware": "reader", "at": at})) == []
    assert desk.unexpected == ["boot"]
    assert desk.advance(Came("m-0", "boot", None)) != []  # it does not have to tell


@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        {},
        {"n": 1, "index": 5, "at": 0},
        {"n": 0, "index": 5, "at": 0, "image": "x"},
        {"n": 2**32, "index": 5, "at": 0, "image": "x"},
        {"n": True, "index": 5, "at": 0, "image": "x"},
        {"n": 1, "index": 5, "at": -1, "image": "x"},
        {"n": 1, "index": "5", "at": 0, "image": "x"},
        {"n": 1, "index": 5, "at": 0.5, "image": "x"},
        {"n": 1, "index": 5, "at": 0, "image": "x", "label": 3},
        {"n": 1, "index": 5, "at": 0, "image": "x", "label": 3, "confidence": "high"},
        {"n": 1, "index": 5, "at": 0, "image": "x", "label": [3], "confidence": 0.5},
    ],
)
def test_an_image_that_makes_no_sense_is_counted(payload):
    desk = Desk()
    assert desk.advance(Came("m-0", "image", payload)) == []
    assert desk.unexpected == ["image"]


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        ("e", {"n": 2}),
        ("e", {"n": None}),
        ("e", {"device": "m-1"}),
        ("e", {"device": ["m-0"]}),
        ("e", {"index": 6}),
        ("e", {"confidence": "high"}),
        ("e", {"label": [8]}),
        ("e", {"label": 2**63}),
        ("c", {}),
    ],
)
def test_an_answer_to_what_was_not_asked_is_counted(place, keys):
    desk = Desk()
    desk.image()
    assert desk.answer(place, **keys) == []
    assert desk.unexpected == ["answer"]
    assert desk.answer("e") == [result(0.9, "edge", "sure 0.9 >= 0.8")]
    assert desk.answer("e") == []
    assert desk.unexpected == ["answer", "answer"]


def test_other_messages_are_counted():
    desk = Desk()
    desk.advance(Came("m-0", "hello", 1), Came("e", "answer", 7), Came("m-0", "shown", 3))
    assert desk.unexpected == ["hello", "answer", "shown"]


@pytest.mark.parametrize("kind", ["error", "rejected"])
def test_a_place_without_an_answer(kind):
    desk = Desk()
    desk.image()
    assert desk.answer("e", kind=kind) == [infer("c", "no answer of edge")]
    assert desk.answer("c", kind=kind) == []  # nobody is left
    desk = Desk(policy="edge")
    desk.image(confidence=0.3)
    (sent,) = desk.answer("e", kind=kind)
    assert sent == result(0.3, "device", "no answer of edge", label=3)
    assert desk.unexpected == []


def test_what_is_never_answered_is_forgotten_at_last():
    desk = Desk(policy="latency", deadline="1h", cloud=None)
    desk.image(now=0)
    desk.image(n=2, now=PATIENCE)
    assert desk.answer("e", now=PATIENCE + MS, n=1) != []  # only now
    desk.image(n=3, now=3 * PATIENCE)
    assert desk.answer("e", now=3 * PATIENCE, n=2) == []
    assert desk.answer("e", now=3 * PATIENCE, n=3) != []
    assert desk.unexpected == ["answer"]


# -- policies of one's own


def desk_of(
    tmp_path: Path, decide: str, rule: str = "'remote'", learn: str = "", **keys: Any
) -> Desk:
    (tmp_path / "mine.py").write_text(
        "from simcore.extensions.placement.policy import Decision, Policy\n"
        "class Mine(Policy):\n"
        "    count = 0\n"
        f"    def rule(self, device): return {rule}\n"
        f"    def decide(self, ask): return {decide}\n"
        + (f"    def learn(self, seen): {learn}\n" if learn else "")
    )
    return Desk(tmp_path, policy="mine.py:Mine", **keys)


def test_what_a_policy_knows(tmp_path):
    desk = desk_of(
        tmp_path,
        "Decision('edge', ' '.join(map(str, [ask.device, ask.n, ask.now, ask.elapsed, ask.place, "
        "ask.label, ask.confidence, ask.asked, sorted(ask.round_trip.items()), "
        "sorted(ask.waiting.items())])))",
    )
    (sent,) = desk.image(now=10 * MS, at=4_000, confidence=0.5)
    trips = "[('cloud', None), ('device', None), ('edge', None)]"
    assert sent[2]["why"] == (
        f"m-0 1 10000000 6000000 device 3 0.5 () {trips} [('cloud', 0), ('edge', 0)]"
    )
    (sent,) = desk.image(n=2, now=11 * MS)
    assert sent[2]["why"].endswith("[('cloud', 0), ('edge', 1)]")
    (sent,) = desk.answer("e", now=18 * MS)
    assert "edge 8 0.9 ('edge',)" in sent[2]["why"]
    assert sent[2]["why"].endswith("('edge', 8000000)] [('cloud', 0), ('edge', 1)]")
    desk.advance(Came("m-0", "shown", {"n": 1}), at=48 * MS)
    (sent,) = desk.image(n=3, now=50 * MS)
    assert "('device', 30000000)" in sent[2]["why"]


def test_an_image_of_a_life_that_is_over_makes_room(tmp_path):
    desk = desk_of(tmp_path, "Decision('edge', str(ask.waiting['edge']))")
    assert desk.image() == [infer("e", "0")]
    assert desk.image(at=7) == [infer("e", "0")]
    assert desk.image(n=2) == [infer("e", "1", n=2)]


def test_a_policy_may_accept_any_answer_and_change_rules(tmp_path):
    desk = desk_of(
        tmp_path,
        "('device', 'own') if ask.asked else ('edge', 'look')",
        rule="f'confidence {self.count}'",
        learn="self.count += 1",
    )
    desk.image(confidence=0.5)
    (sent,) = desk.answer("e")
    assert sent[2] == {
        "n": 1, "label": 3, "confidence": 0.5, "place": "device", "why": "own",
        "rule": "confidence 1",
    }  # fmt: skip
    assert sent[3] == 24


def test_why_nobody_is_to_answer_is_told_to_simcore_alone(tmp_path):
    desk = desk_of(tmp_path, "(None, 'too \\u00e4hnlich')")
    assert desk.image(confidence=0.5) == []
    (told,) = desk.unexpected
    assert json.loads(told) == {"device": "m-0", "n": 1, "why": "too \u00e4hnlich"}


def rules(sent: Any) -> list[Any]:
    return [each[2].get("rule") for each in sent]


def test_a_rule_is_told_until_it_is_acknowledged(tmp_path):
    desk = desk_of(tmp_path, "('device', 'own')", rule="self.config['rules'][0]", config=RULES)
    RULES["rules"][0] = "both"
    assert rules(desk.image(confidence=0.5)) == ["both"]
    assert rules(desk.image(n=2, confidence=0.5)) == ["both"]
    desk.advance(Came("m-0", "shown", {"n": 1, "label": 3}))
    assert rules(desk.image(n=3, confidence=0.5)) == [None]
    desk = desk_of(tmp_path, "('device', 'own')", rule="self.config['rules'][0]", config=RULES,
                   acknowledge=False)  # fmt: skip
    RULES["rules"][0] = "local"
    assert rules(desk.image(confidence=0.5)) == ["local"]
    assert rules(desk.image(n=2, confidence=0.5)) == [None]


RULES: dict[str, Any] = {"rules": ["remote"]}

NONSENSE = [
    ("('moon', 'far')", "decided for 'moon': a place is 'device', 'edge' or 'cloud', or None for nobody"),
    ("('device', 'own')", "decided for 'device': the device sent no answer of its own"),
    ("('edge', 7)", "decided ('edge', 7): a Decision is a place and a text"),
    ("'edge'", "decided 'edge': a Decision is a place and a text"),
    ("7", "decided 7: a Decision is a place and a text"),
    ("(['edge'], 'x')", "decided (['edge'], 'x'): a Decision is a place and a text"),
    ("ask.missing", "raised AttributeError: 'Ask' object has no attribute 'missing'"),
]  # fmt: skip


@pytest.mark.parametrize(("decide", "what"), NONSENSE)
def test_a_nonsense_decision_ends_the_run(tmp_path, decide, what):
    desk = desk_of(tmp_path, decide)
    with pytest.raises(ModelError) as caught:
        desk.image()
    assert str(caught.value).startswith(f"the policy mine.py:Mine {what}")
    assert str(caught.value).endswith("(image 1 of m-0)")
    assert (caught.value.node, caught.value.now) == ("gateway", MS)


def test_asking_a_place_that_is_not_there_or_did_not_answer(tmp_path):
    desk = desk_of(tmp_path, "('cloud', 'up')", cloud=None)
    with pytest.raises(ModelError, match="the scenario's placement has no 'cloud'"):
        desk.image()
    (tmp_path / "again").mkdir()
    desk = desk_of(tmp_path / "again", "('edge', 'once more')")
    desk.image()
    with pytest.raises(ModelError, match="edge was asked about it and has no answer"):
        desk.answer("e", kind="error")


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("'fast'", "has no rule for m-0: 'fast' is no rule: write local, remote"),
        ("None", "has no rule for m-0: 'None' is no rule"),
        ("1 / 0", "raised ZeroDivisionError: division by zero, asked for the rule of m-0"),
    ],
)
def test_a_nonsense_rule_ends_the_run(tmp_path, rule, what):
    with pytest.raises(ModelError, match=f"^the policy mine.py:Mine {what}"):
        desk_of(tmp_path, "None", rule=rule).boot()


def test_a_policy_that_cannot_learn(tmp_path):
    desk = desk_of(tmp_path, "('edge', 'x')", learn="1 / 0")
    desk.image()
    with pytest.raises(ModelError, match="raised ZeroDivisionError.*told of a round trip"):
        desk.answer("e")


def test_a_dispatcher_without_placement_says_what_it_lacks():
    host = ServiceHost(Dispatcher(), name="gateway", seed=1, config={}, base=Path(), freeze=freeze)
    with pytest.raises(UsageError, match="gateway: a dispatcher needs the scenario's 'placement'"):
        host.advance(0, [])
