"""Faults with real processes: workers, nodes, drivers and signals.

The package sets what Ray reads as it is imported.
"""

import search  # noqa: F401
