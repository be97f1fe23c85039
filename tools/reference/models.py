"""SE-Trans, FCNN and Small CNN with the fusion head in plain PyTorch, the reference for model/.

Parameter and buffer names are those of the C++ checkpoints, one to one; only the layout of convolution weights differs
(PyTorch [K, C, R, S], ours [K, R, S, C]). `python models.py` checks the parameter counts.

Inputs: `logmel` [N, T, F] or [N, T, F, channels] in dB; multimodal models also take `city` [N] (index, -1 for an unknown
city) and `time` [N, 8]. Output: logits [N, classes].
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

TOKENS = 16
EMBEDDING = 128
HEADS = 8
FEED_FORWARD = 32
CITIES = 22
CITY_FEATURES = 16
TIME_INPUTS = 8
TIME_FEATURES = 16
SE_REDUCTION = 16


def scaled(channels: int, width: float) -> int:
    """max(8, 8*round(channels*width/8)), halves rounded up."""
    return max(8, 8 * math.floor(channels * width / 8 + 0.5))


class InputNorm(nn.BatchNorm1d):
    """Batch norm over the F*C columns of [N*T, F*C], column f*C + c; returns NCHW (channels-last strides)."""

    def __init__(self, bands: int, in_channels: int):
        super().__init__(bands * in_channels)

    def forward(self, x):
        if x.dim() == 3:
            x = x.unsqueeze(3)
        clips, frames, bands, channels = x.shape
        x = super().forward(x.reshape(clips * frames, bands * channels))
        return x.reshape(clips, frames, bands, channels).permute(0, 3, 1, 2)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        hidden = max(1, channels // SE_REDUCTION)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)

    def forward(self, x):
        gate = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class SEBlock(nn.Module):
    """Twice [conv 3x3, batch norm, squeeze-excite, relu], then average pooling 2x2."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.se1 = SqueezeExcite(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.se2 = SqueezeExcite(channels)

    def forward(self, x):
        x = F.relu(self.se1(self.norm1(self.conv1(x))))
        x = F.relu(self.se2(self.norm2(self.conv2(x))))
        return F.avg_pool2d(x, 2)


class ConvBlock(nn.Module):
    """[conv, batch norm, relu] `layers` times with dropout between the layers, then max-pooling 2x2."""

    def __init__(self, in_channels: int, channels: int, layers: int, first_kernel=3, first_stride=1, dropout=0.0):
        super().__init__()
        self.layers, self.dropout = layers, dropout
        for i in range(1, layers + 1):
            kernel, stride = (first_kernel, first_stride) if i == 1 else (3, 1)
            conv = nn.Conv2d(in_channels if i == 1 else channels, channels, kernel, stride, kernel // 2, bias=False)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"norm{i}", nn.BatchNorm2d(channels))

    def forward(self, x):
        for i in range(1, self.layers + 1):
            x = F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x)))
            if i < self.layers:
                x = F.dropout(x, self.dropout, self.training)
        return F.max_pool2d(x, 2)


class ConvNorm(nn.Module):
    """1x1 convolution, batch norm, relu."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class FusionHead(nn.Module):
    """Audio-only: one linear layer. Multimodal: city embedding, time features and audio, fused."""

    def __init__(self, features: int, classes: int, multimodal: bool):
        super().__init__()
        self.multimodal = multimodal
        if multimodal:
            self.city = nn.Embedding(CITIES, CITY_FEATURES)
            self.time = nn.Linear(TIME_INPUTS, TIME_FEATURES)
            self.fuse = nn.Linear(features + CITY_FEATURES + TIME_FEATURES, EMBEDDING)
        self.classifier = nn.Linear(EMBEDDING if multimodal else features, classes)

    def forward(self, audio, city=None, time=None):
        if not self.multimodal:
            return self.classifier(audio)
        known = (city >= 0).unsqueeze(1).to(audio.dtype)
        city = self.city(city.clamp(min=0)) * known
        return self.classifier(F.relu(self.fuse(torch.cat([audio, city, F.relu(self.time(time))], 1))))


class SceneModel(nn.Module):
    """`trunk` [N, D, H, W] -> 16 time tokens -> transformer encoder layer -> max over tokens -> fusion head."""

    def add_encoder_and_head(self, features: int, classes: int, multimodal: bool, dropout: float):
        self.encoder = nn.TransformerEncoderLayer(features, HEADS, FEED_FORWARD, dropout, batch_first=True)
        self.head = FusionHead(features, classes, multimodal)

    def forward(self, logmel, city=None, time=None):
        maps = self.trunk(self.input_norm(logmel))
        tokens = F.adaptive_avg_pool2d(maps, (TOKENS, 1)).squeeze(3).transpose(1, 2)
        return self.head(self.encoder(tokens).max(1).values, city, time)

    @torch.no_grad()
    def initialize(self):
        """He-normal convolutions, Xavier-uniform linear layers in the head with zero biases; defaults in the encoder."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.Linear) and not name.startswith("encoder"):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        return self


class SETrans(SceneModel):
    def __init__(self, classes=10, bands=64, in_channels=1, width=1.0, multimodal=False, encoder_dropout=0.1):
        super().__init__()
        first, second = scaled(64, width), scaled(128, width)
        self.input_norm = InputNorm(bands, in_channels)
        self.block1 = SEBlock(in_channels, first)
        self.block2 = SEBlock(first, second)
        self.add_encoder_and_head(second, classes, multimodal, encoder_dropout)

    def trunk(self, x):
        return self.block2(self.block1(x))

    @torch.no_grad()
    def initialize(self):
        """Xavier-uniform convolutions and linear layers, zero biases; PyTorch's defaults in the encoder."""
        for name, module in self.named_modules():
            if name.startswith("encoder"):
                continue
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return self


class FCNN(SceneModel):
    def __init__(
        self, classes=10, bands=64, in_channels=1, width=1.0, multimodal=False, encoder_dropout=0.1, dropout=0.2
    ):
        super().__init__()
        first, second, third = (scaled(channels, width) for channels in (144, 288, 576))
        self.input_norm = InputNorm(bands, in_channels)
        self.block1 = ConvBlock(in_channels, first, 2, first_kernel=5, first_stride=2)
        self.block2 = ConvBlock(first, second, 2)
        self.block3 = ConvBlock(second, third, 4, dropout=dropout)
        self.embed = ConvNorm(third, EMBEDDING)
        self.add_encoder_and_head(EMBEDDING, classes, multimodal, encoder_dropout)

    def trunk(self, x):
        return self.embed(self.block3(self.block2(self.block1(x))))


class SmallCNN(SceneModel):
    """Four times [conv 3x3, batch norm, relu, max pooling 2x2], with 16, 32, 64 and 128 channels."""

    def __init__(self, classes=10, bands=64, in_channels=1, width=1.0, multimodal=False, encoder_dropout=0.1):
        super().__init__()
        self.input_norm = InputNorm(bands, in_channels)
        for i, channels in enumerate((16, 32, 64, 128), 1):
            self.add_module(f"conv{i}", nn.Conv2d(in_channels, scaled(channels, width), 3, padding=1, bias=False))
            self.add_module(f"norm{i}", nn.BatchNorm2d(scaled(channels, width)))
            in_channels = scaled(channels, width)
        self.add_encoder_and_head(in_channels, classes, multimodal, encoder_dropout)

    def trunk(self, x):
        for i in (1, 2, 3, 4):
            x = F.max_pool2d(F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x))), 2)
        return x


MODELS = {"se_trans": SETrans, "fcnn": FCNN, "small_cnn": SmallCNN}


def scene_loss(logits, labels, weights, smoothing=0.1):
    """Per clip: weight x label-smoothed cross-entropy. The loss of a batch is the mean over its clips."""
    return weights * F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")


def parameter_count(model) -> int:
    return sum(p.numel() for p in model.parameters())


if __name__ == "__main__":
    assert parameter_count(SETrans()) == 340_842, parameter_count(SETrans())
    assert parameter_count(SETrans(multimodal=True)) == 361_946, parameter_count(SETrans(multimodal=True))
    assert parameter_count(SmallCNN(multimodal=True)) == 194_826, parameter_count(SmallCNN(multimodal=True))
    for name, model in MODELS.items():
        for multimodal in (False, True):
            print(f"{name}, {'multimodal' if multimodal else 'audio only'}: {parameter_count(model(multimodal=multimodal)):,}")
