"""Table of validation results: curves on held-out crops after some training steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from latency_predictor.writing import write_whole


def append_validation(path: Path, step: int, rows: pd.DataFrame) -> None:
    """Append the validation rows of `step` to a CSV file, atomically.

    Existing rows of this and later steps are dropped, because an interrupted training repeats them.
    """
    known = pd.read_csv(path) if path.exists() else pd.DataFrame({"step": []}, dtype=int)
    table = pd.concat([known[known["step"] < step], rows.assign(step=step)])
    write_whole(path, table.set_index("step").to_csv().encode())
