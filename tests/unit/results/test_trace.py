"""Chains of causes, found from any of their messages."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import inferences_by_hand
import pytest
from click.testing import CliRunner

from simcore.cli.trace import command
from simcore.errors import UsageError
from simcore.results.store import open_run
from simcore.results.trace import trace

MS = 10**6


@pytest.fixture
def connection(make_run):
    with open_run(make_run()) as run:
        yield run.connection


@pytest.mark.parametrize("asked", ["meter-0/1", "gateway/1", "cloud/1"])
def test_the_whole_chain_from_any_message(connection, asked):
    chain = trace(connection, asked)
    found = [(message.id, message.depth, message.cause) for message in chain.messages]
    assert found == [
        ("meter-0/1", 0, None),
        ("gateway/1", 1, "meter-0/1"),
        ("cloud/1", 2, "gateway/1"),
    ]
    assert [message.id for message in chain.messages if message.asked] == [asked]
    assert (chain.origin, chain.end) == (10 * MS, 100 * MS)


def test_siblings_do_not_belong_to_the_chain(make_run):
    def row(id, cause, sent):
        return (id, "cloud", "k", 1, sent, sent + 1, "delivered", cause, 1, 0, 0, 0)

    messages = [row("meter-0/1", None, 1)]
    messages += [row(f"gateway/{n}", "meter-0/1", 2 + n) for n in (1, 2)]
    messages += [row("cloud/1", "gateway/1", 5), row("cloud/2", "gateway/2", 6)]
    with open_run(make_run(messages=messages)) as run:
        ids = [message.id for message in trace(run.connection, "gateway/1").messages]
        everything = trace(run.connection, "meter-0/1").messages
    assert ids == ["meter-0/1", "gateway/1", "cloud/1"]
    assert len(everything) == 5


def test_hops_and_parts(connection):
    message = trace(connection, "gateway/1").messages[1]
    assert [hop.link for hop in message.hops] == ["gateway->relay", "relay->cloud"]
    assert message.hops[0].arrived == 45 * MS
    assert (message.network, message.queued, message.waited, message.computed) == (
        40 * MS,
        5 * MS,
        2 * MS,
        3 * MS,
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("gatway/1", "did you mean gateway?"),
        ("zzz/1", "its nodes are meter-0, meter-1, gateway, cloud"),
        ("gateway/9", "it sent 3, from gateway/1 to gateway/3"),
        ("gateway", "write its source and number, as in meter-0/1"),
        ("gateway/-1", "write its source and number"),
        ("gateway/" + "9" * 30, "write its source and number"),
    ],
)
def test_unknown_messages(connection, asked, words):
    with pytest.raises(UsageError) as caught:
        trace(connection, asked)
    assert words in str(caught.value)


def test_printed(make_run):
    done = CliRunner().invoke(command, [str(make_run()), "gateway/1"], standalone_mode=False)
    assert done.exception is None
    assert done.output.splitlines() == [
        "Chain of gateway/1: 3 messages, 0.01s to 0.1s, 90 ms in all",
        "",
        "  meter-0/1   meter-0 (device) -> gateway (edge)   reading, 100 B",
        "               0.01s  sent, first of its chain",
        "               0.02s  delivered after 10 ms (network 8 ms, queued 2 ms)",
        "",
        "> gateway/1   gateway (edge) -> cloud (cloud)   my kind, 40 B",
        "              0.025s  sent, caused by meter-0/1, after it waited 2 ms for a worker "
        "and computed for 3 ms",
        "              0.025s  entered gateway->relay: queued 5 ms, "
        "transmitted in 10 ms, delay 5 ms",
        "              0.045s  entered relay->cloud: queued 0, transmitted in 12 ms, delay 13 ms",
        "               0.07s  delivered after 45 ms (network 40 ms, queued 5 ms)",
        "",
        "  cloud/1   cloud (cloud) -> meter-0 (device)   command, 8 B",
        "               0.08s  sent, caused by gateway/1, after it computed for 10 ms",
        "                0.1s  delivered after 20 ms (network 20 ms, queued 0)",
    ]


def test_lost_and_in_flight_are_said(make_run):
    run = str(make_run())
    lost = CliRunner().invoke(command, [run, "gateway/2"]).output
    flying = CliRunner().invoke(command, [run, "gateway/3"]).output
    assert "lost: queue_full, after 1 ms" in lost
    assert "still in flight when the run ended, after 10 ms" in flying


def test_json(make_run):
    done = CliRunner().invoke(command, [str(make_run()), "cloud/1", "--json"])
    document = json.loads(done.output)
    assert document["origin"] == 10 * MS
    assert [message["id"] for message in document["messages"]] == [
        "meter-0/1",
        "gateway/1",
        "cloud/1",
    ]
    assert document["messages"][0]["payload"] == {"from": "meter-0/1"}


def test_a_broadcast_is_cut(make_run):
    messages = [("meter-0/1", "cloud", "k", 1, 1, 2, "delivered", None, 1, 0, 0, 0)]
    messages += [
        (f"cloud/{n}", "meter-0", "k", 1, 2, 3, "delivered", "meter-0/1", 1, 0, 0, 0)
        for n in range(1, 151)
    ]
    run = str(make_run(messages=messages))
    short = CliRunner().invoke(command, [run, "meter-0/1"]).output
    assert "... and 51 more; --all prints them" in short and "cloud/150 " not in short
    assert "cloud/150 " in CliRunner().invoke(command, [run, "meter-0/1", "--all"]).output


# --- inferences ---


def test_from_the_picture_to_the_acknowledgement(placed_run):
    run = str(placed_run())
    done = CliRunner().invoke(command, [run, "--inference", "meter-0", "2"], standalone_mode=False)
    assert done.exception is None
    lines = done.output.splitlines()
    assert lines[:8] == [
        "Chain of meter-0/2: 7 messages, 0.11s to 0.244s, 134 ms in all",
        "Picture 2 of meter-0: 9 from the cloud (edge 0.6 < 0.9), wrong: it is 8, after 126 ms",
        "  sampling 2 ms, radio 14 ms, wan 80 ms, lan 2 ms, queueing 7 ms, computing 17 ms, "
        "other 4 ms",
        "",
        "               0.11s  meter-0 takes picture 2",
        "              0.116s  meter-0 shows 3, its own answer",
        "",
        "> meter-0/2   meter-0 (device) -> gateway (edge)   image, 76 B",
    ]
    assert lines[-7:] == [
        "               0.23s  sent, caused by cloud/1",
        "              0.236s  delivered after 6 ms (network 6 ms, queued 0)",
        "              0.236s  meter-0 shows 9",
        "",
        "  meter-0/3   meter-0 (device) -> gateway (edge)   shown, 8 B",
        "              0.236s  sent, caused by gateway/3",
        "              0.244s  delivered after 8 ms (network 8 ms, queued 0)",
    ]


def test_any_message_of_an_inference_tells_of_it(placed_run):
    run = str(placed_run())
    output = CliRunner().invoke(command, [run, "edge/1"]).output
    assert "Picture 2 of meter-0: 9 from the cloud" in output
    kept = CliRunner().invoke(command, [run, "meter-0/1"]).output
    assert "7 from the device (sure), right, after 5 ms\n  sampling 1 ms, computing 4 ms" in kept
    lost = CliRunner().invoke(command, [run, "--inference", "meter-1", "2"]).output
    assert "Picture 2 of meter-1: no answer\n" in lost and "lost: loss" in lost


def test_why_a_policy_left_a_device_alone_is_told(placed_run):
    run = placed_run()
    with closing(sqlite3.connect(run / "run.sqlite")) as connection, connection:
        connection.execute("UPDATE inference SET reason = 'too dark' WHERE place IS NULL")
    output = CliRunner().invoke(command, [str(run), "--inference", "meter-1", "2"]).output
    assert "Picture 2 of meter-1: no answer (too dark)\n" in output


def test_an_inference_that_took_no_time_has_no_parts(placed_run):
    path = placed_run()
    with closing(sqlite3.connect(path / "run.sqlite")) as database, database:
        database.execute("UPDATE inference SET sampled = 15 * 1000000 WHERE node = 0 AND n = 1")
        database.execute("UPDATE trail SET computed = 0 WHERE source = 0 AND number = 1")
    output = CliRunner().invoke(command, [str(path), "meter-0/1"]).output
    assert "right, after 0\n\n" in output


def test_messages_say_what_they_are_about(placed_run):
    run = placed_run()
    said = '{"n":2,"label":9,"confidence":0.99,"place":"cloud","why":"edge 0.6 < 0.9"}'
    database = sqlite3.connect(run / "run.sqlite")
    database.execute("UPDATE message SET payload = ? WHERE source = 2 AND number = 3", (said,))
    database.commit()
    database.close()
    output = CliRunner().invoke(command, [str(run), "gateway/3"]).output
    assert f"{'':22}label 9, confidence 0.99, place cloud, why edge 0.6 < 0.9\n" in output


def test_what_does_not_lead_to_the_answer_is_left_out(placed_run):
    also = ("edge/3", "gateway", "ack", 4, 128, 129, "delivered", "gateway/1", 116, 0, 0, 0)
    run = str(placed_run(messages=[*inferences_by_hand.MESSAGES, also]))
    asked = [run, "--inference", "meter-0", "2"]
    short = CliRunner().invoke(command, asked).output
    assert "ack, 4 B" not in short and "... and 1 more beside this way; --all prints them" in short
    assert "ack, 4 B" in CliRunner().invoke(command, [*asked, "--all"]).output
    assert "ack, 4 B" in CliRunner().invoke(command, [run, "meter-0/2"]).output


def test_json_of_an_inference(placed_run):
    done = CliRunner().invoke(command, [str(placed_run()), "meter-0/2", "--json"])
    (inference,) = json.loads(done.output)["inferences"]
    assert (inference["node"], inference["n"], inference["answer"]) == ("meter-0", 2, "gateway/3")
    assert sum(inference["split"].values()) == 126 * MS


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--inference", "meter-1", "9"], "it has 3, from 1 to 3"),
        (["--inference", "meter-1", str(2**63)], "it has 3, from 1 to 3"),
        (["--inference", "gateway", "1"], "it takes no pictures"),
        (["--inference", "metre-1", "1"], "did you mean meter-1"),
        ([], "give a message, as meter-3/17, or --inference"),
        (["meter-0/1", "--inference", "meter-0", "1"], "give a message"),
    ],
)
def test_inferences_that_are_none(placed_run, asked, words):
    done = CliRunner().invoke(command, [str(placed_run()), *asked], standalone_mode=False)
    assert words in str(done.exception)


def test_a_device_that_started_again_has_two_of_one_number(placed_run):
    path = placed_run()
    with closing(sqlite3.connect(path / "run.sqlite")) as database, database:
        database.execute("UPDATE inference SET n = 1 WHERE node = 0 AND n = 2")
    asked = [str(path), "--inference", "meter-0", "1"]
    done = CliRunner().invoke(command, asked, standalone_mode=False)
    assert "it has 2 inferences 1; name one by its message: meter-0/1, meter-0/2" in str(
        done.exception
    )


def test_a_run_without_inferences_says_so(make_run):
    asked = [str(make_run()), "--inference", "meter-0", "1"]
    done = CliRunner().invoke(command, asked, standalone_mode=False)
    assert "no inferences: its scenario has no 'placement'" in str(done.exception)
