"""Topics carry source and kind of a message, whatever the kind is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends.services.deploy.topics import Topics

from simcore import UsageError

KINDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


def test_names() -> None:
    topics = Topics("plant-7/simcore", "gateway")
    assert topics.subscription == "plant-7/simcore/gateway/#"
    assert topics.status == "plant-7/simcore/gateway/status"
    assert topics.measures == "plant-7/simcore/gateway/measures"
    assert topics.outgoing("meter-3", "result") == "plant-7/simcore/meter-3/gateway/result"
    assert topics.incoming("plant-7/simcore/gateway/meter-3/image") == ("meter-3", "image")


@given(KINDS)
def test_every_kind_arrives_as_it_was_sent(kind: str) -> None:
    topic = Topics("simcore", "meter").outgoing("gateway", kind)
    assert topic.count("/") == 3
    assert not set(topic) & set("+#\0")
    assert Topics("simcore", "gateway").incoming(topic) == ("meter", kind)


def test_whose_topics() -> None:
    topics = Topics("plant-7/simcore", "gateway")
    for name, below, others in (
        ("plant-7/simcore/gateway/meter/image", True, False),
        ("plant-7/simcore/gateway", True, False),
        ("plant-7/simcore/gateway-2/meter/image", True, True),
        ("plant-7/simcore", True, True),
        ("plant-7/simcore-2/gateway/x", False, False),
        ("plant-7/+", False, False),
    ):
        assert (topics.below_prefix(name), topics.of_others(name)) == (below, others), name


@pytest.mark.parametrize("name", ["status", "measures"])
def test_no_message_is_taken_for_what_a_node_says_about_itself(name: str) -> None:
    gateway = Topics("simcore", "gateway")
    assert gateway.incoming(f"simcore/gateway/{name}") is None
    assert Topics("simcore", name).outgoing("gateway", name) not in (
        gateway.status,
        gateway.measures,
    )


@pytest.mark.parametrize(
    "topic",
    [
        "simcore/gateway",
        "simcore/gateway/",
        "simcore/gateway/meter",
        "simcore/gateway/meter/",
        "simcore/gateway/meter/image/1",
        "simcore/gateway//image",
        "simcore/gateway/two words/image",
        "simcore/cloud/meter/image",
        "simcore/gateway/meter/%FF",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(ValueError, match=r"topic|name of a node|codec"):
        Topics("simcore", "gateway").incoming(topic)


@pytest.mark.parametrize(
    ("destination", "kind"),
    [("a/b", "x"), ("", "x"), ("+", "x"), (None, "x"), ("meter", ""), ("meter", 3)],
)
def test_what_makes_no_topic_is_refused(destination: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"name of a node|kind"):
        Topics("simcore", "gateway").outgoing(destination, kind)


def test_a_kind_may_be_too_long() -> None:
    with pytest.raises(ValueError, match="65,535 bytes"):
        Topics("simcore", "gateway").outgoing("meter", "é" * 33_000)


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/+", "#", "$SYS", "a\0"])
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(UsageError, match="prefix"):
        Topics(prefix, "gateway")


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "é"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="name of a node"):
        Topics("simcore", name)
