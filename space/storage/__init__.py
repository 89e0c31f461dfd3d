"""Atomic writing of files, and tensor files in a format that cannot execute code.

Import the modules by name, so that commands that write no tensors start without torch.
"""
