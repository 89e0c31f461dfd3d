"""Predicted costs of codecs on a device, and the screening of a space by them."""
