"""A landmark-guided classifier in the manner of POSTER++ (Mao et al., 2023, https://arxiv.org/abs/2301.12149).

Two streams see the image: one computes features of the image, one features of landmarks.  At three levels, the
features of landmarks ask, and those of the image answer: cross-attention in windows, so that the image is looked at
where landmarks say that something is.  A small transformer over the tokens of all levels gives the features for the
heads.

POSTER++ takes its landmarks from a trained network for faces (MobileFaceNet); here the landmark stream is a small
convolutional network that is trained with the rest, so that any kind of image can be classified.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sightline.tasks.classification.networks.small import ResidualBlock
from sightline.tasks.classification.settings import Poster

_LEVELS = 3
_LANDMARKS = 16
_SPREAD = 1e-6


class SoftLandmarks(nn.Module):
    """Keeps of a feature map only where its landmarks are: maps of probability over the places of the image.

    Args:
        channels: Channels of the input and the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.find = nn.Conv2d(channels, _LANDMARKS, 1)
        self.describe = nn.Conv2d(_LANDMARKS, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute [B, channels, H, W]."""
        heat = self.find(features)
        places = heat.flatten(2).softmax(dim=2).view_as(heat)
        peaks = places / (places.amax(dim=(2, 3), keepdim=True) + _SPREAD)
        guided: torch.Tensor = features + self.describe(peaks)
        return guided


class CrossAttention(nn.Module):
    """Tokens ask, tokens answer: attention and a multilayer perceptron, each with a norm before and a shortcut.

    Args:
        channels: Channels of a token.
        heads: Heads of the attention.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.norm_answers, self.norm_questions = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.ask = nn.Linear(channels, channels)
        self.answer = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, answers: torch.Tensor, questions: torch.Tensor) -> torch.Tensor:
        """Compute tokens [N, T, channels], which are those of ``answers`` with what was attended to added."""
        queries = self._split(self.ask(self.norm_questions(questions)))
        keys, values = (self._split(one) for one in self.answer(self.norm_answers(answers)).chunk(2, dim=-1))
        shares = (queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5).softmax(dim=3)
        tokens = answers + self.out((shares @ values).transpose(1, 2).flatten(2))
        found: torch.Tensor = tokens + self.mlp(self.norm(tokens))
        return found

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        """[N, T, C] -> [N, heads, T, C / heads]."""
        count, length, channels = tokens.shape
        return tokens.reshape(count, length, self._heads, channels // self._heads).transpose(1, 2)


class WindowCrossAttention(CrossAttention):
    """Landmarks ask, the image answers, within windows of a feature map.

    Args:
        channels: Channels of both feature maps.
        heads: Heads of the attention.
        window: Side of a window in cells.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__(channels, heads)
        self._window = window

    def forward(self, image: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """Compute [B, channels, H, W] from two such feature maps."""
        height, width = image.shape[2:]
        tokens = super().forward(self._windows(image), self._windows(landmarks))
        return self._joined(tokens, height, width)

    def _padded(self, side: int) -> int:
        return -(-side // self._window) * self._window

    def _windows(self, features: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> [B * windows, window**2, C]; beyond the right and the lower border there are zeros."""
        window = self._window
        channels, height, width = features.shape[1:]
        padded = functional.pad(features, (0, self._padded(width) - width, 0, self._padded(height) - height))
        rows, columns = self._padded(height) // window, self._padded(width) // window
        parts = padded.reshape(-1, channels, rows, window, columns, window)
        return parts.permute(0, 2, 4, 3, 5, 1).reshape(-1, window**2, channels)

    def _joined(self, tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
        window = self._window
        rows, columns = self._padded(height) // window, self._padded(width) // window
        parts = tokens.reshape(-1, rows, columns, window, window, tokens.shape[2]).permute(0, 5, 1, 3, 2, 4)
        return parts.reshape(-1, tokens.shape[2], rows * window, columns * window)[:, :, :height, :width]


class PosterBody(nn.Module):
    """Both streams, the cross-attention of three levels, and the transformer over their tokens.

    Args:
        model: The settings.

    Attributes:
        num_features: Number of features of an image.
    """

    def __init__(self, model: Poster) -> None:
        super().__init__()
        widths = [model.width * 2**level for level in range(_LEVELS)]
        self.num_features = widths[-1]
        self.image_stem, self.landmark_stem = _stem(model.width), _stem(model.width)
        entering = [model.width, *widths[:-1]]
        self.image_levels = nn.ModuleList(
            nn.Sequential(ResidualBlock(inputs, width, 2), ResidualBlock(width, width, 1))
            for inputs, width in zip(entering, widths, strict=True)
        )
        self.landmark_levels = nn.ModuleList(
            nn.Sequential(ResidualBlock(inputs, width, 2), SoftLandmarks(width))
            for inputs, width in zip(entering, widths, strict=True)
        )
        self.attention = nn.ModuleList(
            WindowCrossAttention(width, model.attention_heads, model.window) for width in widths
        )
        self.tokens = nn.ModuleList(nn.Linear(width, self.num_features) for width in widths)
        self.levels = nn.Parameter(torch.zeros(_LEVELS, self.num_features))
        self.mix = CrossAttention(self.num_features, model.attention_heads)
        self.norm = nn.LayerNorm(self.num_features)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute features [B, num_features] of images [B, 3, S, S]."""
        image, landmarks = self.image_stem(images), self.landmark_stem(images)
        tokens = []
        for level in range(_LEVELS):
            image, landmarks = self.image_levels[level](image), self.landmark_levels[level](landmarks)
            image = self.attention[level](image, landmarks)
            cells = functional.adaptive_avg_pool2d(image, 4).flatten(2).transpose(1, 2)
            tokens.append(self.tokens[level](cells) + self.levels[level])
        joined = torch.cat(tokens, dim=1)
        features: torch.Tensor = self.norm(self.mix(joined, joined)).mean(dim=1)
        return features


def _stem(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, channels, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )


def build_poster(model: Poster) -> tuple[nn.Module, int]:
    """The landmark-guided network, and its number of features."""
    body = PosterBody(model)
    return body, body.num_features
