"""SSIMULACRA2 in torch: batched, differentiable, in single precision.

Structure and constants follow the Python package ssimulacra2 0.3.0, whose licence is below; the
package follows Cloudinary's C++ (Sneyers, 2023). Like the package, this port blurs with reflection
along the height and with zeros beyond the width. It differs in two ways: the structural term is
computed from differences of the two images, so that single precision suffices, and planes whose
weights are all below `NEGLIGIBLE` are left out.

Copyright (c) 2025, Pacidus. All rights reserved. BSD 3-Clause License:

Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice, this list of conditions
and the following disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions
and the following disclaimer in the documentation and/or other materials provided with the
distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse
or promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER
IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF
THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from search.metrics.interface import Metric, same

SCALES = 6
"""Largest number of scales on which images are compared. Each scale halves the sides of the scale
before."""
MIN_SIDE = 8
"""A scale is left out if one of its sides is smaller than this, in px."""
NEGLIGIBLE = 0.0025
"""Weights below this value count as zero. Every weight lies above 0.28 or below 0.0021."""
C2 = 0.0009
RADIUS = 5
_GAUSSIAN = torch.exp(-0.5 * (torch.arange(-RADIUS, RADIUS + 1) / 1.5) ** 2)
TAPS: list[float] = (_GAUSSIAN / _GAUSSIAN.sum()).tolist()
"""Coefficients of a Gaussian filter with a standard deviation of 1.5 px."""
BIAS = 0.0037930732552754493
ABSORBANCE = torch.tensor(
    [
        [0.30, 1 - 0.078 - 0.30, 0.078],
        [0.23, 1 - 0.078 - 0.23, 0.078],
        [
            0.24342268924547819,
            0.20476744424496821,
            1 - 0.24342268924547819 - 0.20476744424496821,
        ],
    ]
)
OPPONENT = torch.tensor([[7.0, -7.0, 0.0], [0.5, 0.5, 0.0], [-0.5, -0.5, 1.0]])
"""Maps cube roots of the absorbed light to X * 14, Y and B - Y."""
OFFSET = torch.tensor([0.42, 0.01, 0.55])
# fmt: off
WEIGHTS = torch.tensor(
    [
        0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0, 0.0,
        0.0004371155730107379, 0.0, 1.1041726426657346, 0.00066284834129271,
        0.00015231632783718752, 0.0, 0.0016406437456599754, 0.0, 1.8422455520539298,
        11.441172603757666, 0.0, 0.0007989109436015163, 0.000176816438078653, 0.0,
        1.8787594979546387, 10.94906990605142, 0.0, 0.0007289346991508072,
        0.9677937080626833, 0.0, 0.00014003424285435884, 0.9981766977854967,
        0.00031949755934435053, 0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0,
        0.0, 0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262,
        0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296,
        1.027889937768264, 225.20515300849274, 0.0, 0.0, 19.213238186143016,
        0.0011401524586618361, 0.001237755635509985, 176.39317598450694, 0.0, 0.0,
        24.43300999870476, 0.28520802612117757, 0.0004485436923833408, 0.0, 0.0, 0.0,
        34.77906344483772, 44.835625328877896, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        0.0008680556573291698, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0005313191874358747, 0.0,
        0.00016533814161379112, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0004179171803251336,
        0.0017290828234722833, 0.0, 0.0020827005846636437, 0.0, 0.0, 8.826982764996862,
        23.19243343998926, 0.0, 95.1080498811086, 0.9863978034400682, 0.9834382792465353,
        0.0012286405048278493, 171.2667255897307, 0.9807858872435379, 0.0, 0.0, 0.0,
        0.0005130064588990679, 0.0, 0.00010854057858411537,
    ]
)
# fmt: on
"""Weights by channel (X, Y, B), scale, norm (1, 4) and term (structure, artefact, lost detail)."""


def score(original: Tensor, reconstruction: Tensor) -> Tensor:
    """SSIMULACRA2 [N]. Equal images score 100, and visually lossless ones, seen at 1:1, about 90.

    70 means high quality, 50 medium quality, and 30 low quality.
    """
    error = loss(original, reconstruction) * 0.9562382616834844
    error = (
        2.326765642916932 * error
        - 0.020884521182843837 * error**2
        + 6.248496625763138e-05 * error**3
    )
    return 100 - 10 * error.clamp(min=0) ** 0.6276336467831387


def loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Training loss [N]: a weighted sum of errors, which `score` maps monotonically to the score.

    The loss is 0 for equal images. Its gradient is finite everywhere; that of the score is not.
    """
    if original.device.type == "cpu" and len(original) > 1:
        # A single image fits a core's cache.
        pairs = zip(original.split(1), reconstruction.split(1), strict=True)
        return torch.cat([loss(*pair) for pair in pairs])
    weights = _weights(*original.shape[2:]).to(original.device)
    linear = _linear(original.contiguous()), _linear(reconstruction.contiguous())
    total = original.new_zeros(len(original))
    for scale in range(weights.shape[1]):
        if scale:
            linear = _halved(linear[0]), _halved(linear[1])
        used = [c for c in range(3) if weights[c, scale].any()]
        if used:
            planes = _opponent(linear[0], used), _opponent(linear[1], used)
            total = total + (_terms(*planes) * weights[used, scale]).sum(dim=(1, 2, 3))
    return total


def _weights(height: int, width: int) -> Tensor:
    """Weights [3, scales, 2, 3] of the scales that an image has.

    With fewer than six scales the list of weights is read without gaps, as in the original.
    """
    count, side = 0, min(height, width)
    while count < SCALES and side >= MIN_SIDE:
        count, side = count + 1, (side + 1) // 2
    weights = WEIGHTS[: 3 * count * 6].reshape(3, count, 2, 3)
    return weights * (weights >= NEGLIGIBLE)


def _linear(image: Tensor) -> Tensor:
    """Linear light of an sRGB image."""
    image = image.clamp(0, 1)
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def _halved(linear: Tensor) -> Tensor:
    return functional.avg_pool2d(linear, 2, ceil_mode=True)


def _opponent(linear: Tensor, used: list[int]) -> Tensor:
    """The `used` channels of the positive XYB colour space."""
    device = linear.device
    absorbed = functional.conv2d(linear, ABSORBANCE[:, :, None, None].to(device))
    roots = (absorbed + BIAS) ** (1 / 3) - BIAS ** (1 / 3)
    return functional.conv2d(
        roots, OPPONENT[used, :, None, None].to(device), OFFSET[used].to(device)
    )


def _terms(x: Tensor, y: Tensor) -> Tensor:
    """Errors [N, C, 2, 3] of planes [N, C, H, W], by norm and term."""
    difference = y - x
    blurred = _blurred(torch.cat([x, difference, x * x + y * y, difference * difference], dim=1))
    mean, shift, power, noise = blurred.chunk(4, dim=1)
    # This equals 1 - (1 - shift^2) * (2 cov + C2) / (var x + var y + C2), without its cancellation.
    variance = power - mean * mean - (mean + shift) ** 2
    squared = shift * shift
    structure = squared + (1 - squared) * (noise - squared) / (variance + C2)
    x_edge, y_edge = (x - mean).abs(), (y - mean - shift).abs()
    edge = (y_edge - x_edge) / (1 + x_edge)
    terms = torch.stack([structure.clamp(min=0), edge.clamp(min=0), (-edge).clamp(min=0)], dim=2)
    fourth = (terms * terms).square().mean(dim=(3, 4))
    tiny = torch.finfo(fourth.dtype).tiny
    root = torch.where(fourth > tiny, fourth.clamp(min=tiny) ** 0.25, 0)
    return torch.stack([terms.mean(dim=(3, 4)), root], dim=2)


def _blurred(planes: Tensor) -> Tensor:
    """Gaussian blur, with zeros beyond the width and reflection beyond the height."""
    planes = _weighted_sum(functional.pad(planes, (RADIUS, RADIUS)), dim=3)
    top, bottom = planes[:, :, :RADIUS].flip(2), planes[:, :, -RADIUS:].flip(2)
    return _weighted_sum(torch.cat([top, planes, bottom], dim=2), dim=2)


def _weighted_sum(padded: Tensor, dim: int) -> Tensor:
    """Convolution with TAPS as a sum of shifted planes.

    On a CPU it is twice as fast as a depthwise convolution of few planes.
    """
    length = padded.shape[dim] - 2 * RADIUS
    result = padded.narrow(dim, RADIUS, length) * TAPS[RADIUS]
    for i in range(RADIUS):
        pair = padded.narrow(dim, i, length) + padded.narrow(dim, 2 * RADIUS - i, length)
        result = result.add_(pair, alpha=TAPS[i])
    return result


SSIMULACRA2 = Metric(
    name="ssimulacra2",
    label="SSIMULACRA2",
    higher_is_better=True,
    best=100.0,
    score=score,
    scale=same,
    loss=loss,
)
