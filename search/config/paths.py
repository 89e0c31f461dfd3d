"""Paths in configurations."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(text: str) -> Path:
    """The path with the home folder in place of a leading `~` or `~user`.

    The name of a user who does not exist is left as it is.
    """
    # Path.expanduser raises an error for a user who does not exist.
    return Path(os.path.expanduser(text))  # noqa: PTH111
