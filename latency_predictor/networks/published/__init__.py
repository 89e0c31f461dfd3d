"""Published networks that no library contains, built from their papers in inference form.

Each file holds one family and compares its parameters and multiply-accumulates with the printed
ones. Their agreement shows that the network is the one that was timed.
"""

from latency_predictor.networks.published import edgeface, mobilevig, repnext

NETWORKS = {
    **edgeface.NETWORKS,
    **mobilevig.NETWORKS,
    **repnext.NETWORKS,
}
"""Function that builds each network from its `NetworkSpec`, on the meta device."""

__all__ = ["NETWORKS"]
