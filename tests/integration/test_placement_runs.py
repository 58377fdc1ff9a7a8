"""Whole runs with devices, a dispatcher and two models.

meter (x 3) ---- gateway ---- edge
                    |
                    +-------- cloud
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from placement_world import OVER_MQTT, SCENARIO, write

import simcore

HERE = Path(__file__).parent


def run(out: Path, *overrides: str, text: str = SCENARIO, **keys: Any) -> str:
    scenario = simcore.loads(text, base=keys.pop("base", HERE), overrides=overrides, **keys)
    return simcore.Federation(scenario, out=out).run()


def messages(out: Path, kind: str, columns: str = "source, destination, payload") -> list[Any]:
    with simcore.open_run(out) as found:
        query = f"SELECT {columns} FROM messages WHERE kind = ? ORDER BY sent, id"
        return found.connection.execute(query, (kind,)).fetchall()


def payloads(out: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(row[2]) for row in messages(out, kind)]


def test_each_image_is_answered_where_the_policy_wants_it(tmp_path):
    run(tmp_path / "run")
    readings = payloads(tmp_path / "run", "reading")
    assert all(each["why"] == "sure" and each["confidence"] >= 0.6 for each in readings)
    images = payloads(tmp_path / "run", "image")
    assert all(each["why"] == "unsure" and each["confidence"] < 0.6 for each in images)
    assert len(readings) + len(images) == 3 * 30  # the first within a period of the setup
    results = payloads(tmp_path / "run", "result")
    assert {each["place"] for each in results} == {"edge", "cloud"}
    assert all(each["confidence"] >= 0.7 for each in results)
    assert len(messages(tmp_path / "run", "shown")) >= len(results) - 3  # some are under way
    with simcore.open_run(tmp_path / "run") as found:
        chain = found.connection.execute(
            "WITH RECURSIVE up(id, kind, cause) AS ("
            "  SELECT id, kind, cause FROM messages WHERE id IN ("
            "    SELECT m.id FROM messages m JOIN messages r ON r.id = m.cause"
            "    WHERE m.kind = 'shown' AND r.payload LIKE '%cloud%' LIMIT 1)"
            "  UNION ALL SELECT m.id, m.kind, m.cause FROM messages m JOIN up ON m.id = up.cause)"
            "SELECT kind FROM up"
        ).fetchall()
    kinds = [kind for (kind,) in chain]
    assert kinds == ["shown", "result", "answer", "infer", "answer", "infer", "image"]


@pytest.mark.parametrize(
    ("policy", "kinds", "places"),
    [
        ("device", {"boot", "setup", "reading"}, set()),
        ("edge", {"boot", "setup", "image", "infer", "answer", "result", "shown"}, {"edge"}),
        ("cloud", {"boot", "setup", "image", "infer", "answer", "result", "shown"}, {"cloud"}),
        (
            "latency",
            {"boot", "setup", "image", "infer", "answer", "result", "shown"},
            {"cloud"},
        ),
    ],
)
def test_one_word_makes_another_placement(tmp_path, policy, kinds, places):
    run(tmp_path / "run", f"placement.policy={policy}")
    with simcore.open_run(tmp_path / "run") as found:
        seen = {kind for (kind,) in found.connection.execute("SELECT DISTINCT kind FROM messages")}
    assert seen == kinds
    assert {each["place"] for each in payloads(tmp_path / "run", "result")} == places


def test_a_deadline_decides_how_high_images_go(tmp_path):
    run(tmp_path / "run", "placement.policy=latency", "placement.deadline=100ms")
    places = [each["place"] for each in payloads(tmp_path / "run", "result")]
    assert set(places) == {"cloud", "edge"}
    assert places.count("edge") > 5 * places.count("cloud")  # which is tried now and then
    run(tmp_path / "tight", "placement.policy=latency", "placement.deadline=10ms")
    whys = [each["why"] for each in payloads(tmp_path / "tight", "reading")]
    assert set(whys) == {"late"}
    images = [each["why"] for each in payloads(tmp_path / "tight", "image")]
    assert images.count("probe") >= 6


def test_what_is_lost_is_made_good_by_the_device_itself(tmp_path):
    """A lost setup: it boots again. A lost result: it has its own answer."""
    lossy = ["network.links.0.loss=40%", "placement.policy=confidence", "duration=60s"]
    run(tmp_path / "run", *lossy)
    boots = messages(tmp_path / "run", "boot", "source, sent")
    setups = messages(tmp_path / "run", "setup", "destination, fate")
    assert any(fate == "loss" for _, fate in setups)
    assert len(boots) > 3
    began = dict(reversed(messages(tmp_path / "run", "image", "source, sent")))
    assert set(began) == {"meter-0", "meter-1", "meter-2"}
    lost = [fate for (fate,) in messages(tmp_path / "run", "result", "fate")]
    assert lost.count("loss") > 5
    shown = len(messages(tmp_path / "run", "shown"))
    assert shown == lost.count("delivered")
    # Each second a sample, whatever was lost before.
    for device in began:
        taken = [
            json.loads(text)["n"]
            for kind in ("image", "reading")
            for source, _, text in messages(tmp_path / "run", kind)
            if source == device
        ]
        assert sorted(taken) == list(range(1, max(taken) + 1))


FAULTS = """
faults:
  - {at: 10s, for: 4s, node: gateway, crash: true}
  - {at: 20s, for: 2s, node: meter-0, crash: true}
"""


def test_devices_go_on_without_a_dispatcher_and_start_anew(tmp_path):
    run(tmp_path / "run", text=SCENARIO + FAULTS)
    with simcore.open_run(tmp_path / "run") as found:
        rows = found.connection.execute(
            "SELECT node, n, sampled, place, reason FROM inference ORDER BY node, sampled"
        ).fetchall()
    down = [row for row in rows if 10_000_000_000 <= row[2] < 13_900_000_000]
    assert {reason for *_, reason in down} == {"sure", "no answer"}
    assert {place for *_, place, _ in down} == {"device"}
    after = [place for _, _, at, place, _ in rows if at > 14_100_000_000]
    assert {"edge", "cloud"} <= set(after)
    # What a dispatcher has forgotten it says again: the rule, with its first result to each.
    told = [p["n"] for p in payloads(tmp_path / "run", "result") if "rule" in p]
    assert len(told) >= 3
    numbers = [n for node, n, *_ in rows if node == 0]
    second = numbers.index(1, 1)
    assert numbers[:second] == list(range(1, second + 1))
    assert numbers[second:] == list(range(1, len(numbers) - second + 1))
    again = run(tmp_path / "again", "nodes.gateway.implementation=process", text=SCENARIO + FAULTS)
    assert again == run(tmp_path / "third", text=SCENARIO + FAULTS)


def test_ten_runs_are_one(tmp_path):
    digests = {run(tmp_path / str(i), "network.links.0.loss=10%") for i in range(10)}
    assert len(digests) == 1
    assert run(tmp_path / "other", "network.links.0.loss=10%", seed=2) not in digests


def test_the_dispatcher_may_be_a_process(tmp_path):
    loss = "network.links.0.loss=10%"
    inside = run(tmp_path / "inside", loss)
    apart = run(tmp_path / "apart", loss, "nodes.gateway.implementation=process")
    assert inside == apart


def test_dispatcher_and_devices_may_talk_over_mqtt(tmp_path):
    run(tmp_path / "run", text=OVER_MQTT)
    images = messages(tmp_path / "run", "image")
    assert {destination for _, destination, _ in images} == {"gateway"}
    results = messages(tmp_path / "run", "result")
    assert {source for source, _, _ in results} == {"gateway"}
    run(tmp_path / "direct")
    over = {(row[1], json.loads(row[2])["n"]): json.loads(row[2]) for row in results}
    direct = {(row[1], json.loads(row[2])["n"]): json.loads(row[2])
              for row in messages(tmp_path / "direct", "result")}  # fmt: skip
    assert len(over) > 20
    assert over.items() <= direct.items() or over.items() >= direct.items()
    assert run(
        tmp_path / "apart", "nodes.dispatcher.implementation=process", text=OVER_MQTT
    ) == run(tmp_path / "again", text=OVER_MQTT)
    assert len(messages(tmp_path / "run", "shown")) > 20


# -- a policy of one's own

OWN = ["placement.policy=my_policy.py:Mine", "placement.config={every: 3}"]


@pytest.mark.parametrize("implementation", ["python_model", "process"])
def test_a_policy_of_ones_own(tmp_path, implementation):
    base = write(tmp_path)
    how = f"nodes.gateway.implementation={implementation}"
    digest = run(tmp_path / "run", *OWN, how, base=base)
    for each in payloads(tmp_path / "run", "result"):
        assert each["place"] == ("cloud" if each["n"] % 3 == 0 else "edge")
        assert each["why"] == "what there is"
    whys = {each["why"] for each in payloads(tmp_path / "run", "infer")}
    assert "image 3, every 3" in whys
    assert digest == run(tmp_path / "again", *OWN, base=base)


@pytest.mark.parametrize(
    ("text", "dispatcher", "implementation"),
    [
        (SCENARIO, "gateway", "python_model"),
        (SCENARIO, "gateway", "process"),
        (OVER_MQTT, "dispatcher", "python_model"),
    ],
)
@pytest.mark.parametrize(("rule", "place"), [("remote", None), ("both", "device")])
def test_why_a_policy_leaves_devices_alone_is_kept(
    tmp_path, text, dispatcher, implementation, rule, place
):
    """To the last image that it was asked about, and outside the measurements."""
    overrides = [
        "placement.policy=my_policy.py:Seldom",
        f"placement.config={{every: 3, rule: {rule}}}",
        f"nodes.{dispatcher}.implementation={implementation}",
    ]
    run(tmp_path / "run", *overrides, text=text, base=write(tmp_path))
    with simcore.open_run(tmp_path / "run") as found:
        query = "SELECT n, place, reason FROM inference WHERE reason != 'under way'"
        rows = found.connection.execute(query).fetchall()
        names = {name for (name,) in found.connection.execute("SELECT name FROM measurement")}
    assert len(rows) > 80
    for n, where, reason in rows:
        if n % 3 == 0:
            assert (where, reason) == (place or "cloud", "what there is")
        elif n % 3 == 1:
            assert (where, reason) == (place, f"image {n} does not matter")
        else:
            assert (where, reason) == (place, "decided for nobody")
    assert names <= {"accuracy", "placement"}


@pytest.mark.parametrize("implementation", ["python_model", "process"])
def test_a_policy_that_decides_nonsense_is_named_once(tmp_path, implementation):
    base = write(tmp_path)
    how = f"nodes.gateway.implementation={implementation}"
    wrong = ["placement.policy=my_policy.py:Wrong", "placement.config={every: 3}"]
    with pytest.raises(simcore.SimcoreError) as caught:
        run(tmp_path / "run", *wrong, how, base=base)
    assert (
        "the policy my_policy.py:Wrong decided for 'moon': a place is 'device', 'edge' or "
        "'cloud', or None for nobody (image 1 of meter-"
    ) in str(caught.value)
