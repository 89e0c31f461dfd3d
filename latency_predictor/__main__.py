"""The command line: `python -m latency_predictor COMMAND`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from latency_predictor.cli.app import app
from latency_predictor.cli.errors import run_app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, by default those of this process; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_app(app, "latency_predictor", "latency-predictor", words)


if __name__ == "__main__":
    sys.exit(main())
