"""The codec as torch modules: transforms, hyperprior, context model, scale path and entropy coder.

The PCA initialisation and the supernet, of which every architecture is a slice, are here too.
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
