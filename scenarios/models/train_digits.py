"""Rebuilds the trained files, byte for byte, from `../data/digits.bin`.

The files are committed, so nobody needs this to run anything; it is here so that anybody can
check where they came from. It takes some ten seconds:

    pip install torch==2.13.0 onnx
    python scenarios/models/train_digits.py

`tiny_weights.c` goes to the firmware, or like the others into the folder that is named.

All networks see the training half of the data only. Processors of different types differ in the
last bit of a sum, and training goes on from there; so it is done in double precision, where the
difference stays small, and then the weights are rounded to 1/1024, where it vanishes.

The tiny network is for a microcontroller: it sees means of 2 x 2 pixels, its weights are rounded to
eight bits, and it computes in whole numbers, so that all processors agree on all it says. What it
computes stands in `firmware/app/tiny_digits.c` and, in Python, in `../placement_models.py`.
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
BYTE = 127  # the largest weight of eight bits that has an opposite
LEVELS = 255  # of a hidden unit of the tiny network
POWERS, STEPS = 128, 16  # entries of its table of exp(-x), and steps of x by 1


def load_digits():
    """Images (n x 64, from 0 to 1) and labels (n), training half first."""
    records = np.frombuffer(DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)
    images = torch.tensor(records[:, :64].astype(np.float64) / 16)
    return images, torch.tensor(records[:, 64].astype(np.int64))


def mlp():
    """A small network without convolutions: 64 pixels, 16 hidden units, ten logits."""
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def tiny():
    """The same for a microcontroller: the means of 2 x 2 pixels instead of 64 pixels."""
    return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))


def means(images):
    """Means of 2 x 2 pixels (n x 16) of images (n x 64)."""
    return images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16)


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


def train(network, seen, *, epochs, rate):
    """Train it on the training half, with Adam and a rate that falls as a cosine.

    Args:
        network: a module that makes ten logits of a batch.
        seen: makes a batch, as the network takes it, of images (n x 64).
        epochs: how often it sees each image.
        rate: of learning, at the beginning.
    """
    generator = random.Random(SEED)
    network = network.double()
    begin(network, generator)
    images, labels = (part[:TRAINING] for part in load_digits())
    images = seen(images)
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


def scaled(weights, bits):
    """Weights times 2 to the power of so many bits, rounded to whole numbers."""
    return np.round(weights * 2.0**bits).astype(np.int32)


def bits_for(most, limit):
    """How many bits behind the point a number may have, if it is to stay within a limit."""
    return math.floor(math.log2(limit / most))


def whole_numbers(network):
    """The tiny network in whole numbers: weights of eight bits, hidden units of eight bits.

    An image is the sums of 2 x 2 grey levels, 0 to 64. `hidden_shift` is how many bits of a hidden
    sum are dropped, `score_shift` how many of a score, for steps of 1/16.
    """
    w1, b1, w2, b2 = (each.detach().numpy().astype(np.float64) for each in network.parameters())
    images = load_digits()[0][:TRAINING]
    with torch.no_grad():
        hidden = network[:2](means(images).float()).max().item()
    one, two = (bits_for(np.abs(each).max(), BYTE + 0.5) for each in (w1, w2))
    unit = bits_for(hidden, LEVELS)
    return {
        "hidden": scaled(w1, one),
        "hidden_bias": scaled(b1, one + 6),
        "hidden_shift": np.int32(one + 6 - unit),
        "scores": scaled(w2, two),
        "scores_bias": scaled(b2, two + unit),
        "score_shift": np.int32(two + unit - round(math.log2(STEPS))),
        "powers": np.array(
            [round(0xFFFF * math.exp(-each / STEPS)) for each in range(POWERS)], dtype=np.int32
        ),
    }


def rows(numbers):
    """An initializer in C, in lines of 16."""
    texts = [str(number) for number in np.asarray(numbers).flat]
    lines = [", ".join(texts[at : at + 16]) for at in range(0, len(texts), 16)]
    return "{\n" + "".join(f"    {line},\n" for line in lines) + "}"


def weights_c(tiny):
    """The text of `tiny_weights.c`."""
    hidden, scores = ("},\n    {".join(", ".join(map(str, row)) for row in tiny[name])
                      for name in ("hidden", "scores"))  # fmt: skip
    return f"""\
/* Made by scenarios/models/train_digits.py, which says how. It was trained on the first half of
 * the images in scenarios/data/digits.bin and holds none of them. MIT-licensed, like simcore. */
#include "tiny_digits.h"

const int8_t tiny_hidden[TINY_HIDDEN][TINY_INPUTS] = {{
    {{{hidden}}},
}};
const int16_t tiny_hidden_bias[TINY_HIDDEN] = {rows(tiny["hidden_bias"])};
const uint8_t tiny_hidden_shift = {tiny["hidden_shift"]};
const int8_t tiny_scores[10][TINY_HIDDEN] = {{
    {{{scores}}},
}};
const int16_t tiny_scores_bias[10] = {rows(tiny["scores_bias"])};
const uint8_t tiny_score_shift = {tiny["score_shift"]};
const uint16_t tiny_powers[TINY_POWERS] = {rows(tiny["powers"])};
"""


def light(small, large, tiny):
    """All weights for numpy alone: in whole numbers, those of the networks in 1/1024."""
    arrays = {f"tiny_{name}": value for name, value in tiny.items()}
    for prefix, network in (("mlp", small), ("cnn", large)):
        for number, weights in enumerate(network.parameters()):
            arrays[f"{prefix}_{number}"] = scaled(weights.detach().numpy(), 10)
    return {name: value.astype(np.int16 if value.max() < 2**15 else np.uint16)
            for name, value in arrays.items()}  # fmt: skip


def accuracy(network, seen):
    """How many images of the test half a network recognises, and of how many."""
    images, labels = (part[TRAINING:] for part in load_digits())
    with torch.no_grad():
        found = network(seen(images)).argmax(1)
    return int((found == labels).sum()), len(labels)


def in_whole_numbers(tiny):
    """The tiny network as a function of a batch of sums, as a microcontroller computes it."""

    def scores(sums):
        hidden = sums.numpy() @ tiny["hidden"].T + tiny["hidden_bias"]
        levels = np.clip(hidden, 0, None).astype(np.int32) >> tiny["hidden_shift"]
        return torch.tensor(np.minimum(levels, LEVELS) @ tiny["scores"].T + tiny["scores_bias"])

    return scores


def main():
    """Write the files: into the folder named, or where they belong."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    firmware = target if len(sys.argv) > 1 else HERE.parents[1] / "firmware" / "app"
    torch.set_num_threads(1)
    small = train(mlp(), lambda images: images, epochs=30, rate=0.005)
    model = onnx_of(small).SerializeToString(deterministic=True)
    (target / "digits_mlp.onnx").write_bytes(model)
    large = train(DigitsCnn(), lambda images: images.reshape(-1, 1, 8, 8), epochs=12, rate=0.003)
    torch.save(large.state_dict(), target / "digits_cnn.pt")
    least = whole_numbers(train(tiny(), means, epochs=30, rate=0.005))
    (firmware / "tiny_weights.c").write_text(weights_c(least), encoding="ascii")
    np.savez(target / "digits_light.npz", **light(small, large, least))
    for name, network, seen in (
        ("tiny", in_whole_numbers(least), lambda images: means(images) * 64),
        ("mlp", small, lambda images: images.float()),
        ("cnn", large, lambda images: images.float().reshape(-1, 1, 8, 8)),
    ):
        right, all_of_them = accuracy(network, seen)
        sys.stdout.write(
            f"digits_{name}: {right} of {all_of_them} right, {right / all_of_them:.1%}\n"
        )


if __name__ == "__main__":
    main()
