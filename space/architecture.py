"""A point of the search space: a frozen, validated description of one codec."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

ENCODER_STRIDES = (4, 8, 16)
"""Resolutions of the analysis transform's chains, as strides to the image, in order of use."""
DECODER_STRIDES = (16, 8, 4)
"""Resolutions of the synthesis transform's chains, in order of use."""
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu")


@dataclass(frozen=True)
class Chain:
    """CS-Chain(C, R, E, F) of PICO: R ConvScale311 blocks at one resolution.

    A block widens C channels to C*E by a 3x3 convolution, maps them to C*F and back to C by 1x1
    convolutions. Without blocks (R = 0) the expansions mean nothing and are set to 1, so that equal
    codecs compare equal.
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
    """One codec of the family.

    `encoder` holds the chains at strides 4, 8, 16 and `decoder` those at strides 16, 8, 4;
    `latent_channels` is the width of the latent at stride 16, `hyper_channels` that of the
    hyper-latent at stride 64. Equal architectures have equal `id`s in every process and version.
    """

    encoder: tuple[Chain, Chain, Chain]
    decoder: tuple[Chain, Chain, Chain]
    latent_channels: int
    hyper_channels: int
    activation: str = "relu"

    def __post_init__(self) -> None:
        for name in ("latent_channels", "hyper_channels"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: expected a whole number >= 1")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={self.activation!r}: expected one of {', '.join(ACTIVATIONS)}"
            )

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON form."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read what `to_json` wrote.

        Raises ValueError where a field is missing, unknown or out of range.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            for half in ("encoder", "decoder"):
                first, second, third = (Chain(**chain) for chain in fields[half])
                fields[half] = (first, second, third)
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not an architecture: {text[:200]} ({error})") from error
