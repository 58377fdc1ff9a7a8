"""A service that answers messages with what an ONNX model says of them.

In YAML: `service: onnx_inference`, with a `config` as `docs/services.md` describes it. Computed by
ONNX Runtime on one thread of the processor, so that the same input gives the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..inference import PROPERTIES, BadModel, Inference, file_of, shown

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.protocol.service import Context
    from simcore.scenario.check import Checker

_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_SCORES = ("tensor(float)", "tensor(double)", "tensor(float16)")
_FATAL_ONLY = 4


class OnnxInference(Inference):
    """Runs a model of one input, whose first dimension is the batch."""

    name = "onnx_inference"
    library = "onnxruntime"
    # From version 1.29 on, ONNX Runtime sends telemetry unless this is set before it is imported.
    environment: Mapping[str, str] = {"ORT_DISABLE_TELEMETRY": "1"}
    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["model"],
        "properties": {
            "model": {
                "type": "string",
                "minLength": 1,
                "description": "The ONNX file, relative to the scenario.",
                "examples": ["models/digits_mlp.onnx"],
            },
            "output": {
                "type": "string",
                "minLength": 1,
                "description": "Name of the output that counts; the first one without it.",
                "examples": ["probabilities"],
            },
            **PROPERTIES,
        },
    }

    @staticmethod
    def check(config: Mapping[str, Any], path: Path, checker: Checker) -> None:
        """Report a model that is not there, and what all inference services report."""
        if "model" in config:
            checker.check_file((*path, "model"), config["model"])
        Inference.check(config, path, checker)

    def load(self, ctx: Context, library: Any) -> tuple[Sequence[int] | None, str]:
        """Load the file, and see what it takes."""
        file = ctx.config["model"]
        path = file_of(ctx, file)
        options = library.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = _FATAL_ONLY  # what is raised need not be printed as well
        try:
            self._session = library.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise BadModel(
                f"{file} cannot be loaded as an ONNX model: {shown(error)}; export it anew, or "
                "update onnxruntime if the file is newer"
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs)
            raise BadModel(f"{file} has {len(inputs)} inputs ({names}), and must have one")
        (only,) = inputs
        batch, *shape = only.shape or [0]
        if only.type not in _TYPES or (isinstance(batch, int) and batch != 1):
            raise BadModel(
                f"{file} takes {only.type} of the shape {only.shape}, and must take a batch: its "
                f"first dimension 1 or open, and its type one of {', '.join(_TYPES)}"
            )
        self._input = only.name
        self._output = self._chosen(ctx.config)
        known = all(isinstance(each, int) for each in shape)  # an open dimension has a name
        return shape if known else None, _TYPES[only.type]

    def run(self, values: Any) -> Any:
        """The model's output that counts."""
        return self._session.run([self._output], {self._input: values})[0]

    def _chosen(self, config: Mapping[str, Any]) -> str:
        """Name of the output that counts."""
        types = {each.name: each.type for each in self._session.get_outputs()}
        name: str = config.get("output", next(iter(types)))
        have = ", ".join(f"{each} ({kind})" for each, kind in types.items())
        if name not in types:
            raise BadModel(f"{config['model']} has no output {name!r}; it has {have}")
        if types[name] not in _SCORES and config.get("answer") != "values":
            raise BadModel(
                f"the output {name!r} of {config['model']} is no score of each class: name another "
                f"with 'output'; it has {have}"
            )
        return name
