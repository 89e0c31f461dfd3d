"""Coded files and trained models: the container format, its tiles, and the model file."""

from space.bitstream.container import BitstreamError
from space.bitstream.files import decode, encode
from space.bitstream.model_file import Model, ModelError

__all__ = ["BitstreamError", "Model", "ModelError", "decode", "encode"]
