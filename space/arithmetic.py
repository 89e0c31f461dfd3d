"""Numbers of a codec's arithmetic, which its forms in torch and in ONNX Runtime share."""

from __future__ import annotations

from space.architecture import CHANNEL_GROUPS

DECODING_STEPS = {"none": 1, "checkerboard": 2, "grid": 4, "channels": CHANNEL_GROUPS}
"""Number of decoding steps of each context pattern. Each step decodes one group of the latent."""
GROUP_QUARTERS = {"none": 4, "checkerboard": 8, "grid": 4, "channels": 4 // CHANNEL_GROUPS}
"""Number of channels of a group in each context pattern, in quarters of the latent's channels."""
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column of each phase of the 2x2 grid, in decoding order.

The checkerboard decodes two phases in each step.
"""
MAX_LOG_WIDTH = 2.0
"""Largest magnitude of the log of a predicted quantisation width, where the width is in steps."""
Z_MAX = 127
"""Largest magnitude of a hyper-latent symbol in the scale path, which clamps larger symbols."""
FRACTION_BITS = 8
"""Number of fraction bits of a table index before it is rounded."""
MULTIPLIER_BITS = 24
"""Number of fraction bits of the factor by which an integer layer multiplies its accumulators."""
