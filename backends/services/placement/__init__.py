"""The dispatcher: devices ask it about images that they do not keep, and it asks the policy.

In YAML: `service: placement`. All that it has to know stands under the scenario's `placement`. It
gives each device its rule when that starts, has the edge's and the cloud's models compute as the
policy decides, and sends the result back. What makes no sense is counted, as the measurement
`unexpected`, and not answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from zlib import crc32

from simcore.errors import ModelError, UsageError
from simcore.extensions.placement.policy import (
    CLOUD,
    DEVICE,
    EDGE,
    LEFT_ALONE,
    Answer,
    Ask,
    Policy,
    Seen,
    make_policy,
)
from simcore.extensions.placement.rules import BadRule, Setup, parse, smoothed
from simcore.units import duration

from ...mqtt import api
from .links import Direct, OverMqtt
from .pending import Client, Image, is_label

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.protocol.service import Context, Incoming
    from simcore.scenario.check import Checker

PATIENCE = 60_000_000_000
"""Time (ns) after which an image is forgotten whose answer has not come."""
IMAGES = 128
"""Devices begin with different ones of so many images."""
FAILED = ("error", "rejected")
"""Kinds with which an inference service says that it has no answer."""


class Dispatcher:
    """Asks a policy where an inference is to be made, and has it made there."""

    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }

    @staticmethod
    def check(config: Mapping[str, Any], path: Path, checker: Checker) -> None:
        """Report a dispatcher that nothing is dispatched by."""
        place = (*path[:-1], "service")
        value = checker.data.get("placement")
        if checker.incomplete(("placement",)):
            return
        if value is None:
            checker.problem(place, "has no effect without the top-level key 'placement'")
        elif str(path[1]) not in (value["dispatcher"], *checker.members(value["dispatcher"])):
            checker.problem(place, f"is not the dispatcher: placement names {value['dispatcher']}")

    # -- the service

    def start(self, ctx: Context) -> None:
        """Make the policy; over MQTT, subscribe to what devices publish.

        Raises:
            UsageError: there is no such policy.
            ModelError: making it raised.
        """
        value = ctx.config.get("placement")
        if value is None:
            raise UsageError(f"{ctx.name}: a dispatcher needs the scenario's 'placement'")
        self._name = value["policy"]
        self._policy = make_policy(value, ctx.path(""))
        learn = getattr(self._policy, "learn", None)
        ignores = getattr(learn, "__func__", None) is Policy.learn
        self._learn: Callable[[Seen], None] | None = None if ignores else learn
        self._nodes = {place: value[place] for place in (EDGE, CLOUD) if place in value}
        self._places = {node: place for place, node in self._nodes.items()}
        self._period = duration(value.get("period", "1s")) // 1_000_000
        self._quiet = not value.get("acknowledge", True)
        self._clients: dict[str, Client] = {}
        self._waiting = dict.fromkeys(self._nodes, 0)
        self._trips: dict[str, int | None] = {DEVICE: None, EDGE: None, CLOUD: None}
        self._devices = OverMqtt(ctx, value["mqtt"]["topic"]) if "mqtt" in value else Direct()
        self._handlers: Mapping[str, Callable[[Context, str, int, Any], bool]] = {
            "boot": self._boot,
            "image": self._image,
            "reading": self._reading,
            "shown": self._shown,
        }

    def on_message(self, ctx: Context, msg: Incoming) -> None:
        """Take what a device or a model sends."""
        place = self._places.get(msg.source)
        if place is not None:
            understood = self._answer(ctx, place, msg.kind, msg.payload)
        else:
            if msg.kind in (api.CONNECTED, api.LOST):
                return
            device, kind, payload = self._devices.read(msg)
            handler = self._handlers.get(kind)
            understood = handler is not None and handler(ctx, device, msg.sent, payload)
        if not understood:
            ctx.record("unexpected", msg.kind)

    # -- what devices send

    def _boot(self, ctx: Context, device: str, sent: int, payload: Any) -> bool:
        """A device has no rule: it has just started, or has not been heard."""
        at = payload.get("at", 0) if isinstance(payload, dict) else 0
        if type(at) is not int or at < 0:
            return False
        client = self._clients.setdefault(device, Client())
        for image in client.began(sent - at * 1000):
            self._waiting[image.asking] -= 1
        client.rule = self._rule_of(ctx, device, client.rule)
        # Devices that start together are not to take the same pictures, nor at the same time.
        share = crc32(device.encode())
        first = share // IMAGES % self._period + 1
        setup = Setup(client.rule, share % IMAGES, self._period, self._quiet, first)
        text = setup.text()
        self._devices.send(ctx, device, "setup", text, len(text))
        return True

    def _reading(self, ctx: Context, device: str, sent: int, payload: Any) -> bool:
        """A device has kept its own answer."""
        return True

    def _image(self, ctx: Context, device: str, sent: int, payload: Any) -> bool:
        """A device asks."""
        image = Image.read(payload)
        if image is None:
            return False
        client = self._clients.get(device)
        if client is None:  # its setup came from a life of the dispatcher that is over
            client = self._clients[device] = Client()
            client.began(sent - image.at * 1000)
        if client.images:
            for overdue in client.overdue(ctx.now - PATIENCE):
                self._waiting[overdue.asking] -= 1
        known = client.images.get(image.n)
        if known is not None:
            if known.at == image.at:
                return True  # a copy
            del client.images[image.n]  # of a life of the device that is over
            self._waiting[known.asking] -= 1
        image.taken = min(client.started + image.at * 1000, sent)
        self._decide(ctx, device, client, image)
        return True

    def _shown(self, ctx: Context, device: str, sent: int, payload: Any) -> bool:
        """A device has acted on a result."""
        if not isinstance(payload, dict):
            return False
        client, n = self._clients.get(device), payload.get("n")
        if client is not None and type(n) is int and n in client.results:
            since, client.rule = client.results.pop(n)
            time = ctx.now - since
            client.trip = time if client.trip is None else smoothed(client.trip, time)
            self._tell(ctx, device, DEVICE, time)
        return True

    # -- what models send

    def _answer(self, ctx: Context, place: str, kind: str, payload: Any) -> bool:
        """A model has an answer, or says that it has none."""
        if not isinstance(payload, dict):
            return False
        device, n = payload.get("device"), payload.get("n")
        client = self._clients.get(device) if isinstance(device, str) else None
        image = client.images.get(n) if client is not None and type(n) is int else None
        if client is None or image is None or image.asking != place:
            return False
        assert device is not None
        if image.index != payload.get("index"):
            return False  # of another life of the device
        confidence = payload.get("confidence")
        if kind not in FAILED:
            if not isinstance(confidence, (int, float)) or not is_label(payload.get("label", [])):
                return False
            image.answer(place, Answer(payload["label"], confidence))
        del client.images[image.n]
        self._waiting[place] -= 1
        time = ctx.now - image.since
        before = self._trips[place]
        self._trips[place] = time if before is None else smoothed(before, time)
        self._tell(ctx, device, place, time)
        self._decide(ctx, device, client, image)
        return True

    # -- what the policy is asked

    def _decide(self, ctx: Context, device: str, client: Client, image: Image) -> None:
        """Ask the policy where to go on with an image, and go on."""
        best = image.best
        label, confidence = (None, None) if best is None else image.answers[best]
        self._trips[DEVICE] = client.trip
        ask = Ask(
            device, image.n, ctx.now, ctx.now - image.taken, best, label, confidence,
            image.answers, image.asked, self._trips, self._waiting,
        )  # fmt: skip
        try:
            decision = self._policy.decide(ask)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise self._failure(ctx, image, device, f"raised {what}") from error
        try:
            place, reason = decision
        except (TypeError, ValueError):
            place, reason = decision, None
        if type(reason) is not str or not (place is None or type(place) is str):
            raise self._failure(
                ctx, image, device, f"decided {decision!r}: a Decision is a place and a text"
            )
        if place in image.answers:
            self._accept(ctx, device, client, image, place, reason)
        elif place in self._nodes and place not in image.asked:
            self._ask(ctx, device, client, image, place, reason)
        elif place is None:
            # The device learns nothing of it; the table of inferences is told why.
            left = {"device": device, "n": image.n, "why": reason}
            ctx.record(LEFT_ALONE, json.dumps(left))
        else:
            raise self._nonsense(ctx, image, device, place)

    def _ask(
        self, ctx: Context, device: str, client: Client, image: Image, place: str, reason: str
    ) -> None:
        """Have the model of a place compute."""
        image.ask(place, ctx.now)
        client.images[image.n] = image
        self._waiting[place] += 1
        ctx.send(
            self._nodes[place],
            "infer",
            {
                "n": image.n, "index": image.index, "device": device, "image": image.data,
                "why": reason,
            },
            size=72,
        )  # fmt: skip

    def _accept(
        self, ctx: Context, device: str, client: Client, image: Image, place: str, reason: str
    ) -> None:
        """Send the result."""
        label, confidence = image.answers[place]
        result = {
            "n": image.n, "label": label, "confidence": confidence, "place": place, "why": reason
        }  # fmt: skip
        rule = self._rule_of(ctx, device, client.rule)
        changed = rule != client.rule
        if changed:
            result["rule"] = rule
        if self._quiet:
            client.rule = rule  # whether it comes is not known
        else:
            client.tell(image.n, ctx.now, rule)
        self._devices.send(ctx, device, "result", result, 24 if changed else 16)

    def _rule_of(self, ctx: Context, device: str, before: str) -> str:
        """The rule that the policy wants a device to keep to."""
        try:
            rule = self._policy.rule(device)
        except Exception as error:
            raise self._error(
                ctx, f"raised {type(error).__name__}: {error}, asked for the rule of {device}"
            ) from error
        if rule != before:
            try:
                parse(rule if isinstance(rule, str) else repr(rule))
            except BadRule as error:
                raise self._error(ctx, f"has no rule for {device}: {error}") from None
        return str(rule)

    def _tell(self, ctx: Context, device: str, place: str, time: int) -> None:
        """Let the policy know of a round trip."""
        if self._learn is not None:
            try:
                self._learn(Seen(device, place, time, ctx.now))
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise self._error(ctx, f"raised {what}, told of a round trip") from error

    # -- policies that go wrong

    def _nonsense(self, ctx: Context, image: Image, device: str, place: Any) -> ModelError:
        if place in self._nodes:
            why = f"{place} was asked about it and has no answer"
        elif place in (EDGE, CLOUD):
            why = f"the scenario's placement has no {place!r}"
        elif place == DEVICE:
            why = "the device sent no answer of its own"
        else:
            why = f"a place is {DEVICE!r}, {EDGE!r} or {CLOUD!r}, or None for nobody"
        return self._failure(ctx, image, device, f"decided for {place!r}: {why}")

    def _failure(self, ctx: Context, image: Image, device: str, what: str) -> ModelError:
        return self._error(ctx, f"{what} (image {image.n} of {device})")

    def _error(self, ctx: Context, what: str) -> ModelError:
        return ModelError(f"the policy {self._name} {what}", ctx.name, ctx.now)
