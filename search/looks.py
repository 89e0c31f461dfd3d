"""Looks at a training: its curves on held-out crops after some steps, in a table that grows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from space.writing import write_whole


def add_look(path: Path, step: int, look: pd.DataFrame) -> None:
    """Put a look's rows after `step` at the end of a CSV file, written whole or not at all.

    Rows of that step and later ones are dropped: a training that was interrupted looks again.
    """
    known = pd.read_csv(path) if path.exists() else pd.DataFrame({"step": []}, dtype=int)
    whole = pd.concat([known[known["step"] < step], look.assign(step=step)])
    write_whole(path, whole.set_index("step").to_csv().encode())
