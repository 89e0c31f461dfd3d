"""Writing of files, whole or not at all, and of tensors in a format that cannot execute code.

Import the modules by name: commands that write no tensors should start without torch.
"""
