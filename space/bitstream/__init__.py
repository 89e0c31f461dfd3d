"""Compressed image files, in which an image is coded as tiles, and files of trained models."""

from space.bitstream.container import BitstreamError
from space.bitstream.files import decode, encode
from space.bitstream.model_file import Model, ModelError

__all__ = ["BitstreamError", "Model", "ModelError", "decode", "encode"]
