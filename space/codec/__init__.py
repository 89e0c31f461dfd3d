"""The codec: transforms, hyperprior, context model and scale path in torch, and entropy coding.

This package also holds the PCA initialisation, and the supernet of which each codec is a slice.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from space.codec.codec import Codec, Coded, Decoder, EncoderNetwork
    from space.codec.initialisation import Initialisation, fit_initialisation, start_from
    from space.codec.supernet import Supernet, SupernetError

# These names are imported when they are first used, as torch takes seconds to import.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "codec": ["Codec", "Coded", "Decoder", "EncoderNetwork"],
        "initialisation": ["Initialisation", "fit_initialisation", "start_from"],
        "supernet": ["Supernet", "SupernetError"],
    },
)

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
