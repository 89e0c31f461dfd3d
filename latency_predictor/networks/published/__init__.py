"""Published networks that no library contains, built from their papers in inference form.

The module of each family compares the networks' parameters and multiply-accumulates with the
figures printed in the paper. The agreement shows that a network is the one that was timed.
"""

from latency_predictor.networks.published import edgeface, mobilevig, repnext

NETWORKS = {
    **edgeface.NETWORKS,
    **mobilevig.NETWORKS,
    **repnext.NETWORKS,
}
"""Functions by the name of a network. Each builds the network that a `NetworkSpec` specifies, on
the meta device."""

__all__ = ["NETWORKS"]
