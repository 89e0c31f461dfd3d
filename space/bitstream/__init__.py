"""Compressed image files, in which an image is coded as tiles, and files of trained models."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from space.bitstream.container import BitstreamError
    from space.bitstream.files import decode, encode
    from space.bitstream.model_file import Model, ModelError

# These names are imported when they are first used, as torch takes seconds to import.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "container": ["BitstreamError"],
        "files": ["decode", "encode"],
        "model_file": ["Model", "ModelError"],
    },
)

__all__ = [
    "BitstreamError",
    "Model",
    "ModelError",
    "decode",
    "encode",
]
