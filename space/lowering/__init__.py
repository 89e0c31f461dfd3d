"""Op lists of codecs, computed in closed form for many architectures at once.

The latency predictor turns op lists into times. The module `programs` builds the same networks as
torch modules, so that their times can be measured.
"""

from space.lowering.grid import Grid
from space.lowering.networks import lower_segments
from space.lowering.op_list import OpList

__all__ = ["Grid", "OpList", "lower_segments"]
