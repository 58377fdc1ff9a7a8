"""Topics and filters: the same matches as in the tree of subscriptions, and as in the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends.mqtt.retained import Retained
from simcore_backends.mqtt.session import Message, Session
from simcore_backends.mqtt.settings import MOSQUITTO_2_0_11, MOSQUITTO_2_1
from simcore_backends.mqtt.subscriptions import Subscriptions, levels_of
from simcore_backends.mqtt.topics import matches

levels = st.sampled_from(["", "a", "b", "$x"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.builds(
    lambda parts, rest: "/".join([*parts, *rest]),
    st.lists(st.one_of(levels, st.just("+")), max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)


@pytest.mark.parametrize(
    ("text", "topic", "found"),
    [
        ("sport/#", "sport", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("ACCOUNTS", "Accounts", False),
    ],
)
def test_matches(text: str, topic: str, found: bool) -> None:
    """4.7."""
    assert matches(text, topic) is found


@given(st.lists(filters, max_size=6), topics)
def test_tree_finds_what_matches(texts: list[str], topic: str) -> None:
    """One subscriber for each filter; and none is left when all have gone."""
    tree = Subscriptions()
    sessions = {text: Session(text, True, 1, MOSQUITTO_2_1) for text in texts}
    for text, session in sessions.items():
        tree.add(session, text, 0)
    found = [session.client_id for session, _ in tree.matching(topic)]
    assert sorted(found) == sorted(text for text in sessions if matches(text, topic))
    for text, session in sessions.items():
        if len(text) % 2:
            tree.remove(session, text)
        else:
            tree.forget(session)
    assert list(tree.matching(topic)) == []
    assert tree._own.bare and tree._shared.bare


@given(st.lists(topics, max_size=8), filters, st.sampled_from([MOSQUITTO_2_0_11, MOSQUITTO_2_1]))
def test_retained_messages_that_match(names: list[str], text: str, dialect: object) -> None:
    """Each once; but `$x/#` finds `$x` in Mosquitto only if there is something below it."""
    tree = Retained(dialect)  # type: ignore[arg-type]
    for name in names:
        tree.keep(Message(name, b"x", 0))
    found = [message.topic for message in tree.matching(levels_of(text))]
    assert len(found) == len({*found})
    missing = {name for name in names if matches(text, name)} - {*found}
    assert {*found} <= {*names}
    assert missing <= {name for name in names if "/" not in name and name.startswith("$")}
