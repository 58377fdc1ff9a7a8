"""The models of `placement.yaml` without ONNX Runtime and PyTorch, and the truth about the images.

    device    a tiny network, in whole numbers: that of the firmware `reader`
    edge      the network of `models/digits_mlp.onnx`
    cloud     the network of `models/digits_cnn.pt`

`meter` is a device in Python that does what that firmware does. Edge and cloud say what the
services `onnx_inference` and `torch_inference` say, label and four digits of confidence, for each
image of the data. They need nothing but numpy, and compute an image once, however often it is
asked for.
"""

from functools import cache
from pathlib import Path

import numpy as np
from simcore_backends.services.inference import Inference

from simcore.extensions import placement

HERE = Path(__file__).parent
DIGITS = HERE / "data" / "digits.bin"  # data/README.md says whose they are
WEIGHTS = HERE / "models" / "digits_light.npz"  # made by models/train_digits.py
TRAINING = 898  # records that the models were trained on
UNIT = 1024  # weights are whole numbers of 1/1024


@cache
def test_half():
    """Images (n x 64, grey levels 0..16) and labels (n) that no model has seen."""
    records = np.frombuffer(DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)[TRAINING:]
    return records[:, :64], records[:, 64]


def truth(index):
    """The digit on an image of the test half, which only the experimenter knows."""
    return int(test_half()[1][index])


class Tiny:
    """The device's network, bit for bit as `firmware/app/tiny_digits.c` computes it."""

    def __init__(self):
        with np.load(WEIGHTS) as file:
            for name in ("hidden", "hidden_bias", "scores", "scores_bias", "powers"):
                setattr(self, name, file[f"tiny_{name}"].astype(np.int64))
            self.hidden_shift = int(file["tiny_hidden_shift"])
            self.score_shift = int(file["tiny_score_shift"])

    def classify(self, image):
        """The digit on an image of 64 bytes, and the confidence in it per mille."""
        pixels = np.frombuffer(image, dtype=np.uint8).astype(np.int64)
        sums = pixels.reshape(4, 2, 4, 2).sum((1, 3)).reshape(16)
        levels = np.maximum(self.hidden @ sums + self.hidden_bias, 0) >> self.hidden_shift
        scores = self.scores @ np.minimum(levels, 255) + self.scores_bias
        label = int(np.argmax(scores))
        half_a_step = 1 << self.score_shift >> 1
        steps = (scores[label] - scores + half_a_step) >> self.score_shift
        whole = int(self.powers[steps[steps < len(self.powers)]].sum())
        return label, (1000 * int(self.powers[0]) + whole // 2) // whole


@cache
def classify(image):
    """What a device sees on an image, and how sure it is (per mille)."""
    return tiny().classify(image)


@cache
def tiny():
    """The device's network, which all devices share."""
    return Tiny()


@cache
def pictures():
    """What devices take pictures of: the test half."""
    return [image.tobytes() for image in test_half()[0]]


def meter(node):
    """A device in Python that does what the firmware `reader` does.

    Config: `pictures`, how many different ones it takes (899; the firmware holds 128), and
    `compute`, how long its network takes (no time).
    """
    images = pictures()[: node.config.get("pictures")]
    yield from placement.device(node, images, classify, cost=node.config.get("compute", 0))


class Light(Inference):
    """What both services share: weights of one file, and answers that are kept."""

    library = "numpy"

    def load(self, ctx, library):
        """Read the weights; all networks take 64 numbers, the larger one as an image."""
        self.kept = {}
        with np.load(WEIGHTS) as file:
            names = sorted(name for name in file if name.startswith(self.network))
            self.weights = [file[name].astype(self.kind) / self.kind(UNIT) for name in names]
        return self.shape, np.dtype(self.kind).name

    def run(self, values):
        """The network's outputs: computed at first, then known."""
        key = values.tobytes()
        if key not in self.kept:
            self.kept[key] = self.outputs(values[0])
        return self.kept[key]


class Edge(Light):
    """`service: onnx_inference` with `digits_mlp.onnx`: probabilities, in single precision."""

    name, network, shape, kind = "edge", "mlp_", (64,), np.float32

    def outputs(self, pixels):
        """Probabilities of the ten digits."""
        w1, b1, w2, b2 = self.weights
        logits = w2 @ np.maximum(w1 @ pixels + b1, 0) + b2
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()


class Cloud(Light):
    """`service: torch_inference` with `digits_cnn.pt`: logits, hence `softmax: true`."""

    name, network, shape, kind = "cloud", "cnn_", (1, 8, 8), np.float64

    def outputs(self, image):
        """Logits of the ten digits."""
        w1, b1, w2, b2, w3, b3 = self.weights
        features = np.maximum(convolved(image, w1, b1), 0)
        features = np.maximum(convolved(features, w2, b2), 0)
        return w3 @ features.reshape(32, 4, 2, 4, 2).max((2, 4)).reshape(-1) + b3


def convolved(image, weights, bias):
    """Convolution of 3 x 3 with a margin of zeros: channels, rows and columns."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", around, weights, optimize=True) + bias[:, None, None]
