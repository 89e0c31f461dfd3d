"""Coding of images with ONNX Runtime and NumPy on the CPU.

The commands `encode` and `decode` use this package, because it starts in a fraction of the time and
memory of torch. `space.bitstream.files` does the same with torch, on any device. Both write and
read the same files: entropy coding depends on integers alone.
"""
