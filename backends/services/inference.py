"""What inference services have in common: messages in, answers out, whatever computes them.

A message holds an image (or other numbers); the model says what it is; the answer goes back to the
sender or on to another node. A message that makes no sense, or that the model makes no sense of,
is answered with an error and counted: one bad sensor must not end an experiment. What is wrong
with the model itself is found before the first message, and ends the run.

Needs numpy, and imports it when the service starts: a scenario can be checked without.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simcore import distributions
from simcore.errors import MissingDependency, ModelError, UnitError, UsageError
from simcore.protocol.service import Overloaded
from simcore.units import size

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.protocol.service import Context, Incoming
    from simcore.scenario.check import Checker

RESULT, ERROR, REJECTED = "result", "error", "rejected"
"""Kinds of answers; that of results can be chosen."""

_LONGEST = 300
_TOLERANCE = 1e-3
"""By which a probability may miss the range from 0 to 1: what single precision sums up to."""

log = logging.getLogger("simcore")

PROPERTIES: Mapping[str, Any] = {
    "input": {
        "type": "string",
        "minLength": 1,
        "default": "image",
        "description": "Key of the payload that holds the numbers: bytes, one number each, or a "
        "list of numbers.",
    },
    "shape": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "integer", "minimum": 1, "description": "Numbers in this direction."},
        "description": "Shape of one input of the model, without the dimension of the batch.",
        "examples": [[1, 8, 8]],
    },
    "scale": {
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 1,
        "description": "What each number is divided by before the model gets it.",
        "examples": [255],
    },
    "answer": {
        "enum": ["label", "values"],
        "default": "label",
        "description": "What an answer holds: the class with the highest score and its "
        "confidence, or all outputs of the model.",
    },
    "softmax": {
        "type": "boolean",
        "default": False,
        "description": "Whether the model's outputs are logits, which softmax turns into "
        "probabilities.",
    },
    "labels": {
        "type": "array",
        "minItems": 1,
        "items": {"type": ["string", "integer"], "description": "Name of a class."},
        "description": "Names of the classes, in the order of the model's outputs; without them "
        "a label is a number from 0.",
        "examples": [["cat", "dog"]],
    },
    "digits": {
        "type": "integer",
        "minimum": 0,
        "maximum": 9,
        "default": 4,
        "description": "Decimal places that confidences and values are rounded to. Processors of "
        "different types differ beyond the sixth or so.",
    },
    "compute": distributions.SCHEMA,
    "to": {
        "type": "string",
        "format": "node",
        "description": "The node that gets the answers. The sender of each message without it.",
    },
    "kind": {
        "type": "string",
        "minLength": 1,
        "default": RESULT,
        "description": "Kind of the answers.",
    },
    "keep": {
        "type": "array",
        "items": {"type": "string", "description": "A key of the payload."},
        "default": [],
        "description": "Keys of a message's payload that its answer has as well.",
        "examples": [["index"]],
    },
    "size": {
        "type": "string",
        "format": "size",
        "description": "What an answer weighs on the network; the length of its JSON text "
        "without it.",
        "examples": ["16B"],
    },
}
"""Schemas of the keys of `config` that all inference services understand."""


class BadModel(ModelError):
    """A model that cannot do what the scenario asks of it."""


class Unanswerable(Exception):
    """A message that gets an error for an answer; the text says why."""


class Inference(ABC):
    """A service that answers messages with what a model says of them.

    A subclass loads the model and runs it. One in a scenario may override `answer`, to decide by
    the result where it goes.
    """

    name = ""
    """The word after `service:`."""
    library = ""
    """What has to be installed, as it is imported."""
    environment: Mapping[str, str] = {}
    """Variables of the environment that have to be set before that."""

    @staticmethod
    def check(config: Mapping[str, Any], path: Path, checker: Checker) -> None:
        """Report a cost that cannot be drawn, and what can be no destination."""
        if "compute" in config:
            try:
                distributions.parse(config["compute"], checker.base)
            except UnitError as error:
                checker.problem((*path, "compute"), str(error))
        to = config.get("to")
        if to is not None and to not in checker.node_names and checker.members(to):
            checker.problem((*path, "to"), f"{to!r} is a group; answers go to one node")
        if config.get("answer") == "values":
            for key in ("labels", "softmax"):
                if key in config:
                    checker.problem(
                        (*path, key), f"{key!r} has no effect with 'answer: values'", at_key=True
                    )

    # -- for subclasses

    @abstractmethod
    def load(self, ctx: Context, library: Any) -> tuple[Sequence[int] | None, str]:
        """Load the model.

        Args:
            ctx: the node's, for its config and files.
            library: the module `self.library`.

        Returns:
            Shape of one input without its batch, as the model says; None if it does not say.
            And the name of its numbers' type, as "float32".

        Raises:
            BadModel: the file is none, or not one that this service can use.
        """

    @abstractmethod
    def run(self, values: Any) -> Any:
        """The model's outputs (numpy array) for a batch of one (numpy array)."""

    def answer(self, ctx: Context, msg: Incoming, kind: str, payload: Any) -> None:
        """Send an answer: a result, an error, or that there was no room."""
        asked = ctx.config.get("size")
        destination = ctx.config.get("to", msg.source)
        if "to" in ctx.config:
            payload = {**payload, "source": msg.source}
        ctx.send(destination, kind, payload, size=None if asked is None else size(asked))

    # -- the service

    def start(self, ctx: Context) -> None:
        """Load the model and have it compute once, so that what is wrong with it is found."""
        try:
            self._start(ctx)
        except (BadModel, MissingDependency, UsageError) as error:
            raise BadModel(f"{self.name} of {ctx.name}: {error}", ctx.name, ctx.now) from None

    def _start(self, ctx: Context) -> None:
        self._config = config = ctx.config
        self._numpy = _import("numpy", self.name)
        file = config.get("model", self.name)  # a service of a scenario may know its model
        for key, value in self.environment.items():
            os.environ.setdefault(key, value)
        own, kind = self.load(ctx, _import(self.library, self.name))
        declared = config.get("shape", own)
        if declared is None:
            raise BadModel(f"{file} does not say what it takes: give the 'shape' of one input")
        if own is not None and list(declared) != list(own):
            raise BadModel(
                f"{file} takes inputs of {_sizes(own)}, not of {_sizes(declared)} as 'shape' says: "
                f"write shape: {list(own)}, or leave it out"
            )
        self._shape = tuple(declared)
        self._type = self._numpy.dtype(kind)
        try:
            result = self._outputs(self._numpy.zeros((1, *self._shape), self._type))
        except Unanswerable as error:
            why = str(error)
            if error.__cause__ is not None:
                why = f"the model failed with {shown(error.__cause__)}"
            raise BadModel(
                f"{file} cannot be used with inputs of {_sizes(self._shape)} {kind}: tried with "
                f"zeros, {why}"
            ) from None
        labels = config.get("labels", result)
        if len(labels) != len(result):
            raise BadModel(
                f"{file} has {len(result)} outputs, and 'labels' has {len(labels)} names: give one "
                "for each"
            )

    def on_message(self, ctx: Context, msg: Incoming) -> None:
        """Answer a message; other services' errors are not answered, or it might never end."""
        if msg.kind in (ERROR, REJECTED):
            return
        payload, kept = msg.payload, {}
        if isinstance(payload, dict):
            kept = {key: payload[key] for key in ctx.config.get("keep", ()) if key in payload}
        try:
            values = self._values(payload)
            if "compute" in ctx.config:
                ctx.compute(ctx.config["compute"])
            result = self._result(self._outputs(values))
        except Overloaded as error:
            ctx.record("rejected", 1)
            self.answer(ctx, msg, REJECTED, {**kept, "error": str(error)})
        except Unanswerable as error:
            ctx.record("failed", 1)
            self.answer(ctx, msg, ERROR, {**kept, "error": str(error)})
        else:
            self.answer(ctx, msg, ctx.config.get("kind", RESULT), {**kept, **result})

    def _values(self, payload: Any) -> Any:
        """The model's input that a payload holds: a batch of one."""
        numpy, key = self._numpy, self._config.get("input", "image")
        if not isinstance(payload, dict) or key not in payload:
            raise Unanswerable(f"the payload has no {key!r}")
        value = payload[key]
        if isinstance(value, bytes):
            array = numpy.frombuffer(value, dtype=numpy.uint8)
        elif isinstance(value, list):
            try:
                array = numpy.array(value)
            except ValueError:
                raise Unanswerable(f"{key!r} holds lists of different lengths") from None
            if array.dtype.kind not in "iuf":
                raise Unanswerable(f"{key!r} holds something else than numbers")
        else:
            raise Unanswerable(f"{key!r} is {_kind(value)}, not bytes or a list of numbers")
        if array.size != math.prod(self._shape):
            raise Unanswerable(
                f"{key!r} holds {array.size:,} numbers; the model takes {_sizes(self._shape)}"
            )
        with numpy.errstate(over="ignore", invalid="ignore"):
            scaled = array.astype(numpy.float64) / self._config.get("scale", 1)
            typed = scaled.astype(self._type)
        exact = self._type.kind == "f"
        if not (numpy.isfinite(typed).all() if exact else (typed == scaled).all()):
            raise Unanswerable(f"{key!r} holds numbers that are no {self._type}")
        return typed.reshape(1, *self._shape)

    def _outputs(self, values: Any) -> list[float]:
        """What the model says of a batch of one, as it is to be read."""
        try:
            outputs = self._numpy.asarray(self.run(values), dtype=self._numpy.float64).reshape(-1)
        except Exception as error:
            # What libraries say differs from version to version, so it stays out of the payload.
            log.warning("%s: %s", self._config.get("model", self.name), shown(error))
            raise Unanswerable(f"the model failed with {type(error).__name__}") from error
        found: list[float] = outputs.tolist()
        if not all(map(math.isfinite, found)):
            raise Unanswerable("the model's outputs are not finite numbers")
        if self._config.get("answer") == "values":
            return found
        if self._config.get("softmax"):
            return _softmax(found)
        if any(not -_TOLERANCE <= value <= 1 + _TOLERANCE for value in found):
            raise Unanswerable(
                "the model's outputs are not between 0 and 1: if they are logits, say softmax: true"
            )
        return found

    def _result(self, outputs: list[float]) -> dict[str, Any]:
        digits = self._config.get("digits", 4)
        if self._config.get("answer") == "values":
            # Plus zero, for a little less than nothing is rounded to -0.0.
            return {"values": [round(value, digits) + 0.0 for value in outputs]}
        best = max(range(len(outputs)), key=outputs.__getitem__)
        labels = self._config.get("labels")
        return {
            "label": best if labels is None else labels[best],
            "confidence": round(outputs[best], digits) + 0.0,
        }


def _softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    powers = [math.exp(value - top) for value in logits]
    whole = math.fsum(powers)
    return [power / whole for power in powers]


def _import(package: str, purpose: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingDependency(package, extra="ml", purpose=f"the service {purpose}") from None


def file_of(ctx: Context, name: str) -> str:
    """Path of a file of the model's.

    Raises:
        BadModel: there is none.
    """
    path = ctx.path(name)
    if not path.is_file():
        raise BadModel(f"there is no {path}: does the key 'files' of the node name {name}?")
    return str(path)


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _kind(value: Any) -> str:
    names = {str: "text", dict: "a mapping", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def shown(error: BaseException) -> str:
    """What a library raised, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"
