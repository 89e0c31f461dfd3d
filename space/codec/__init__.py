"""The codec: transforms, hyperprior, context model and scale path in torch, and entropy coding.

This package also holds the PCA initialisation, and the supernet of which each codec is a slice.
"""

from space.codec.codec import Codec, Coded, Decoder, EncoderNetwork
from space.codec.initialisation import Initialisation, fit_initialisation, start_from
from space.codec.supernet import Supernet, SupernetError

__all__ = [
    "Codec",
    "Coded",
    "Decoder",
    "EncoderNetwork",
    "Initialisation",
    "Supernet",
    "SupernetError",
    "fit_initialisation",
    "start_from",
]
