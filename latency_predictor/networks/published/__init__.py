"""Published networks that no library contains, built from their papers in inference form.

The module of each family compares the networks' parameters and multiply-accumulates with the
figures printed in the paper. The agreement shows that a network is the one that was timed.
"""

from latency_predictor.networks.published import (
    depth_anything,
    edgeface,
    mobilevig,
    modnet,
    repnext,
    segmentation,
    stable_diffusion,
    style_transfer,
    super_resolution,
    u2net,
)

NETWORKS = {
    **depth_anything.NETWORKS,
    **edgeface.NETWORKS,
    **mobilevig.NETWORKS,
    **modnet.NETWORKS,
    **repnext.NETWORKS,
    **segmentation.NETWORKS,
    **stable_diffusion.NETWORKS,
    **style_transfer.NETWORKS,
    **super_resolution.NETWORKS,
    **u2net.NETWORKS,
}
"""Functions by the name of a network. Each builds the network that a `NetworkSpec` specifies, on
the meta device."""

INPUT_CHANNELS = dict.fromkeys(stable_diffusion.NETWORKS, stable_diffusion.LATENT_CHANNELS)
"""Channels of the input of networks that do not take an RGB image."""

__all__ = ["INPUT_CHANNELS", "NETWORKS"]
