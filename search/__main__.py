"""The command line: `python -m search COMMAND`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from latency_predictor.cli.errors import run_app
from search.cli.app import app, readable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, by default `sys.argv[1:]`, and return its exit code."""
    # Libraries that compressai and piq require raise these warnings at import.
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    words = sys.argv[1:] if arguments is None else arguments
    return run_app(app, "search", "codec-search", readable(words))


if __name__ == "__main__":
    sys.exit(main())
