"""Op lists of codecs in closed form, for one architecture or for a whole grid.

The latency predictor turns them into times. `programs` builds the same networks as modules, to be
measured.
"""

from space.lowering.grid import Grid
from space.lowering.networks import lower_segments
from space.lowering.op_list import OpList

__all__ = ["Grid", "OpList", "lower_segments"]
