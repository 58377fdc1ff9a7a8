"""The network of `digits_cnn.pt`, as `torch_inference` builds it."""

from torch import nn


class DigitsCnn(nn.Module):
    """Two convolutions and a linear layer: an image of 8 x 8, 0 to 1, to ten logits."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(512, 10),
        )

    def forward(self, images):
        return self.layers(images)
