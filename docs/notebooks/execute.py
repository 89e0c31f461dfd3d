"""Execute the notebooks of this folder and write their outputs into them.

    python docs/notebooks/execute.py

Times of execution and the name of the kernel are left out, so that only what changed differs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS = 240
"""Time that a notebook may take."""
METADATA = {"language_info": {"name": "python"}}


def executed(path: Path) -> Any:
    """A notebook with the outputs that it has now. Raises CellExecutionError if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=SECONDS,
        record_timing=False,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute(env=os.environ | {"PYTHONWARNINGS": "ignore"})
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def printed(notebook: Any) -> list[str]:
    """Printed outputs of a notebook, one text per cell that prints."""
    return [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(executed(path), path)
