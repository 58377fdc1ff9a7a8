"""Topic names and topic filters: what is allowed, and what matches (MQTT 3.1.1, section 4.7)."""

from __future__ import annotations

import re

from .errors import Malformed

_PLACE = re.compile(r"\{\w+\}")


def check_name(topic: str) -> str:
    """A topic to publish on, as it is.

    Raises:
        Malformed: it is empty or has a wildcard in it.
    """
    if not topic:
        raise Malformed("MQTT-4.7.3-1", "a topic has one character at least")
    if "+" in topic or "#" in topic:
        raise Malformed("MQTT-3.3.2-2", f"a topic to publish on has no wildcard: {topic!r}")
    return topic


def check_filter(text: str) -> str:
    """A filter to subscribe to, as it is.

    Raises:
        Malformed: it is empty, or a wildcard is not a level of its own, or `#` is not the last.
    """
    if not text:
        raise Malformed("MQTT-4.7.3-1", "a topic filter has one character at least")
    if "+" in text or "#" in text:
        levels = text.split("/")
        for level in levels:
            if "+" in level and level != "+":
                raise Malformed("MQTT-4.7.1-3", f"'+' is a level of its own: {text!r}")
            if "#" in level and level != "#":
                raise Malformed("MQTT-4.7.1-2", f"'#' is a level of its own: {text!r}")
        if "#" in levels[:-1]:
            raise Malformed("MQTT-4.7.1-2", f"'#' is the last level: {text!r}")
    return text


def matches(text: str, topic: str) -> bool:
    """Whether a filter matches a topic; `$SYS` and its like only by name (MQTT-4.7.2-1)."""
    if text == topic:
        return True
    if topic.startswith("$") != text.startswith("$"):
        return False
    wanted, levels = text.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index == len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def stray(text: str, *known: str) -> str | None:
    """What is written in a scenario's topic as if it stood for something, and does not: "{nod}".

    Args:
        text: the topic, filter or client id.
        known: what stands for something there, as "{node}".
    """
    return next((found for found in _PLACE.findall(text) if found not in known), None)
