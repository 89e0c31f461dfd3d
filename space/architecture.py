"""A point of the search space: a frozen, validated description of one codec."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

ENCODER_STRIDES = (4, 8, 16)
"""Strides, relative to the image, of the analysis transform's chains, in order of use."""
DECODER_STRIDES = (16, 8, 4)
"""Strides, relative to the image, of the synthesis transform's chains, in order of use."""
LATENT_STRIDE = DECODER_STRIDES[0]
"""Stride of the latent relative to the image."""
HYPER_DEPTH = 2
"""Number of times that the sides are halved between the latent and the hyper-latent."""
HYPER_STRIDE = LATENT_STRIDE * 2**HYPER_DEPTH
"""Stride of the hyper-latent relative to the image."""
LEVELS = 8
"""Number of trained quality levels, which are numbered 0 to 7.

A quality is a real number from 0 to 7: the codec interpolates between the trained levels.
"""
QUALITY_STEPS = 100
"""Number of quality steps per level: files store the quality as a whole number of steps."""

CHOICES = {
    "activation": ("relu", "leaky_relu", "gelu", "silu"),
    "resampling": ("haar", "pixel_shuffle", "conv"),
    "context": ("none", "checkerboard", "grid", "channels"),
    "quantisation": ("learned", "level"),
    "scales": ("learned", "none"),
    "scale_path": ("uint8", "linear"),
}
"""Accepted values of each categorical parameter. `Architecture` explains the parameters.

PICO fixed these choices by ablation; here they can be searched.
"""
CHANNEL_GROUPS = 4
"""Number of channel groups of the context pattern `channels`.

`latent_channels` must be a multiple of this number.
"""


@dataclass(frozen=True)
class Chain:
    """CS-Chain(C, R, E, F) of PICO: R ConvScale311 blocks at one resolution.

    A block widens C channels to C*E by a 3x3 convolution, then maps them to C*F and back to C by
    1x1 convolutions. A chain without blocks (R = 0) has no expansions: E and F are set to 1, so
    that equal codecs compare equal. Raises ValueError if a value is out of range.
    """

    C: int
    R: int
    E: int = 1
    F: int = 1

    def __post_init__(self) -> None:
        lowest = {"C": 1, "R": 0, "E": 1, "F": 1}
        for name, least in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"chain {name}={value!r}: expected a whole number >= {least}")
        if self.R == 0:
            object.__setattr__(self, "E", 1)
            object.__setattr__(self, "F", 1)


@dataclass(frozen=True)
class Architecture:
    """The architecture of one codec: all sizes and choices that define its networks.

    `encoder` holds the chains at strides 4, 8, 16 and `decoder` those at strides 16, 8, 4.
    `latent_channels` is the number of channels of the latent at stride 16, a multiple of
    CHANNEL_GROUPS. `hyper_channels` is the number of channels of the hyper-latent at stride 64. The
    defaults are PICO's choices. Equal architectures have equal `id`s in every process. Raises
    ValueError if a value is out of range.

    - `activation`: the activation function of the residual blocks.
    - `resampling`: the layer between resolutions. It is a Haar transform with a 1x1 convolution, a
      pixel (un)shuffle with a 1x1 convolution, or an overlapping strided (transposed) convolution.
    - `context`: the order in which symbols are decoded. The mean and the quantisation width of a
      symbol are predicted from the hyper-latent and from the symbols of all earlier steps. The
      steps follow a checkerboard (2 steps), a 2x2 grid (4 steps) or groups of channels (4 steps);
      with `none` there is one step, and the hyper-latent alone predicts.
    - `quantisation`: the quantisation width has a learned factor per element, or depends on the
      channel and the quality level alone.
    - `scales`: the input and output scales of ConvScale are learned or stay 1.
    - `scale_path`: the predictor of each symbol's sigma. It is PICO's UINT8 scale decoder or
      PULSE's linear predictor of table indexes. Both compute in integers.
    """

    encoder: tuple[Chain, Chain, Chain]
    decoder: tuple[Chain, Chain, Chain]
    latent_channels: int
    hyper_channels: int
    activation: str = "relu"
    resampling: str = "haar"
    context: str = "grid"
    quantisation: str = "learned"
    scales: str = "learned"
    scale_path: str = "uint8"

    def __post_init__(self) -> None:
        for name, step in (("latent_channels", CHANNEL_GROUPS), ("hyper_channels", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1 or value % step:
                multiple = f" a multiple of {step}," if step > 1 else ""
                raise ValueError(f"{name}={value!r}: expected a whole number,{multiple} >= 1")
        for name, accepted in CHOICES.items():
            if getattr(self, name) not in accepted:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: expected one of {', '.join(accepted)}"
                )

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the architecture's canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """The architecture as canonical JSON: sorted keys, no white space."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read an architecture that `to_json` wrote.

        Raises ValueError if a field is missing, unknown or out of range.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            for half in ("encoder", "decoder"):
                first, second, third = (Chain(**chain) for chain in fields[half])
                fields[half] = (first, second, third)
            return cls(**fields)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"not an architecture: {text[:200]} ({error})") from error
