"""Rebuilds the trained files beside it, byte for byte, from `../data/digits.bin`.

The files are committed, so nobody needs this to run anything; it is here so that anybody can
check where they came from. It takes some ten seconds:

    pip install torch==2.13.0 onnx
    python scenarios/models/train_digits.py

Both networks see the training half of the data only. Processors of different types differ in the
last bit of a sum, and training goes on from there; so it is done in double precision, where the
difference stays small, and then the weights are rounded to 1/1024, where it vanishes.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from digits_cnn import DigitsCnn
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HERE = Path(__file__).parent
DIGITS = HERE.parent / "data" / "digits.bin"
TRAINING = 898  # records of the training half; the rest is the test half
SEED = 1  # the first that was tried
BATCH = 32
GRID = 1024


def load_digits():
    """Images (n x 64, from 0 to 1) and labels (n), training half first."""
    records = np.frombuffer(DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)
    images = torch.tensor(records[:, :64].astype(np.float64) / 16)
    return images, torch.tensor(records[:, 64].astype(np.int64))


def mlp():
    """A small network without convolutions: 64 pixels, 16 hidden units, ten logits."""
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def begin(network, generator):
    """Give it its first weights: uniform, as wide as He et al. (2015) say for ReLU; biases 0."""
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() == 1:
                weights.zero_()
                continue
            width = math.sqrt(6 / weights[0].numel())
            drawn = [(2 * generator.random() - 1) * width for _ in range(weights.numel())]
            weights.copy_(torch.tensor(drawn, dtype=torch.float64).reshape(weights.shape))


def train(network, shape, *, epochs, rate):
    """Train it on the training half, with Adam and a rate that falls as a cosine.

    Args:
        network: a module that makes ten logits of a batch of images.
        shape: of one image, as the network takes it.
        epochs: how often it sees each image.
        rate: of learning, at the beginning.
    """
    generator = random.Random(SEED)
    network = network.double()
    begin(network, generator)
    images, labels = (part[:TRAINING] for part in load_digits())
    images = images.reshape(-1, *shape)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * math.ceil(TRAINING / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        # Sorting by random() instead of shuffle(): Python promises only the former to stay.
        keys = [generator.random() for _ in range(TRAINING)]
        order = sorted(range(TRAINING), key=keys.__getitem__)
        for first in range(0, TRAINING, BATCH):
            batch = order[first : first + BATCH]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_((weights * GRID).round() / GRID)
    return network.float().eval()


def onnx_of(network):
    """The small network as an ONNX model that makes probabilities of a batch of images."""
    (first, second) = (layer for layer in network if isinstance(layer, nn.Linear))
    tensors = {"w1": first.weight, "b1": first.bias, "w2": second.weight, "b2": second.bias}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["image", "w1", "b1"], ["sums"], transB=1),
            helper.make_node("Relu", ["sums"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "w2", "b2"], ["logits"], transB=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "digits_mlp",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value.detach().numpy(), name) for name, value in tensors.items()],
    )
    # An old version of the format, so that old versions of ONNX Runtime read it as well.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def accuracy(network, shape):
    """How many images of the test half it recognises, and of how many."""
    images, labels = (part[TRAINING:] for part in load_digits())
    with torch.no_grad():
        found = network(images.float().reshape(-1, *shape)).argmax(1)
    return int((found == labels).sum()), len(labels)


def main():
    """Write the files into a folder: the one named, or where this script is."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    torch.set_num_threads(1)
    small = train(mlp(), (64,), epochs=30, rate=0.005)
    model = onnx_of(small).SerializeToString(deterministic=True)
    (target / "digits_mlp.onnx").write_bytes(model)
    large = train(DigitsCnn(), (1, 8, 8), epochs=12, rate=0.003)
    torch.save(large.state_dict(), target / "digits_cnn.pt")
    for name, network, shape in (("mlp", small, (64,)), ("cnn", large, (1, 8, 8))):
        right, all_of_them = accuracy(network, shape)
        sys.stdout.write(
            f"digits_{name}: {right} of {all_of_them} right, {right / all_of_them:.1%}\n"
        )


if __name__ == "__main__":
    main()
