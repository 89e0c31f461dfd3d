"""Published networks that no library carries, rebuilt from their papers in inference form.

Each file holds one family and says how its parameters and multiply-accumulates compare with the
printed ones: that they agree is the proof that the network is the one that was timed.
"""

from latency_predictor.published import edgeface, mobilevig, repnext

NETWORKS = {
    **edgeface.NETWORKS,
    **mobilevig.NETWORKS,
    **repnext.NETWORKS,
}
"""What builds each network, on the meta device, from its `NetworkSpec`."""

__all__ = ["NETWORKS"]
