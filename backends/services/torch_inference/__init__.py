"""A service that answers messages with what a PyTorch model says of them.

In YAML: `service: torch_inference`, with a `config` as `docs/services.md` describes it. Computed on
one thread of the processor, so that the same input gives the same answer.

A model is a class beside the scenario and a file of its weights, which are loaded with
`weights_only=True`: such a file is numbers and can run nothing. Whole pickled models can,
TorchScript is deprecated, and the files of `torch.export` are promised to be readable by no other
version of PyTorch, unpickle some of what they hold, and take a second longer to load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simcore.protocol.loading import load_object

from ..inference import PROPERTIES, BadModel, Inference, file_of, shown

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.protocol.service import Context
    from simcore.scenario.check import Checker


class TorchInference(Inference):
    """Runs a module that takes a batch and returns one tensor."""

    name = "torch_inference"
    library = "torch"
    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["model", "weights", "shape"],
        "properties": {
            "model": {
                "type": "string",
                "minLength": 1,
                "description": "The module, as file.py:Class relative to the scenario; made "
                "without arguments.",
                "examples": ["models/digits_cnn.py:DigitsCnn"],
            },
            "weights": {
                "type": "string",
                "minLength": 1,
                "description": "File of its weights, relative to the scenario, as "
                "torch.save(model.state_dict(), file) writes it.",
                "examples": ["models/digits_cnn.pt"],
            },
            **PROPERTIES,
        },
    }

    @staticmethod
    def check(config: Mapping[str, Any], path: Path, checker: Checker) -> None:
        """Report a class or weights that are not there, and what all inference services report."""
        if "model" in config:
            checker.check_callable((*path, "model"), config["model"], kind="class")
        if "weights" in config:
            checker.check_file((*path, "weights"), config["weights"])
        Inference.check(config, path, checker)

    def load(self, ctx: Context, library: Any) -> tuple[Sequence[int] | None, str]:
        """Make the module and give it its weights."""
        self._torch = library
        library.set_num_threads(1)
        model, weights = ctx.config["model"], ctx.config["weights"]
        path = file_of(ctx, weights)
        made = _made(load_object(model, ctx.path("")), model)
        if not isinstance(made, library.nn.Module):
            raise BadModel(f"{model} is a {type(made).__name__}, and must be a torch.nn.Module")
        try:
            state = library.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise BadModel(
                f"{weights} cannot be loaded as weights: {shown(error)}; write it with "
                "torch.save(model.state_dict(), file)"
            ) from error
        try:
            made.load_state_dict(state)
        except Exception as error:
            raise BadModel(f"{weights} holds no weights of {model}: {shown(error)}") from error
        self._module = made.eval()
        dtype = next((each.dtype for each in made.parameters()), library.float32)
        return None, str(dtype).removeprefix("torch.")

    def run(self, values: Any) -> Any:
        """What the module returns."""
        with self._torch.inference_mode():
            return self._module(self._torch.from_numpy(values)).numpy()


def _made(kind: Any, name: str) -> Any:
    try:
        return kind()
    except Exception as error:
        raise BadModel(f"{name} cannot be made: {shown(error)}") from error
