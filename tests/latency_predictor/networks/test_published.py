"""The sizes of rebuilt networks agree with those that their authors printed."""

import pandas as pd
import pytest
import torch

from latency_predictor.model.recalibrate import calibration_rows
from latency_predictor.networks.names import NetworkSpec, UnknownNetwork, build, lower_network
from latency_predictor.networks.published import NETWORKS
from latency_predictor.profiles.table import SHIPPED_PROFILES

PRINTED = {
    "edgeface_xs": (1.77, 0.154 / 2),
    "edgeface_s": (3.65, 0.306 / 2),
    "mobilevig_ti": (5.2, 0.7),
    "mobilevig_s": (7.2, 1.0),
    "mobilevig_m": (14.0, 1.5),
    "mobilevig_b": (26.7, 2.8),
    "repnext_m0": (2.3, 0.4),
    "repnext_m1": (4.8, 0.8),
    "repnext_m2": (6.5, 1.1),
    "repnext_m3": (7.8, 1.3),
    "repnext_m4": (13.3, 2.3),
    "repnext_m5": (21.7, 4.5),
    "repnext_m0e": (2.5, 0.5),
    "repnext_m1e": (5.3, 1.0),
    "repnext_m2e": (7.0, 1.3),
    "iformer_t": (2.9, 0.53),
    "iformer_s": (6.5, 1.09),
    "iformer_m": (8.9, 1.64),
    "lowformer_b0": (14.1, 0.94),
    "lowformer_b1": (17.9, 1.41),
}
"""Millions of parameters and billions of multiply-accumulates; EdgeFace prints operations."""

PARAMETERS = {
    "sd15_decoder": (50, 64, 64),  # SnapFusion, arXiv 2306.00980, table 1
    "snapfusion_decoder": (13, 64, 64),
    "depth_anything_s": (24.8, 518, 518),  # model card of Apple's Core ML package
    "u2net": (176.0 / 4, 320, 320),  # megabytes of float32 files, executorch-models
    "isnet": (176.1 / 4, 1024, 1024),
    "modnet": (26.1 / 4, 512, 512),
    "edsr_x4": (6.1 / 4, 128, 128),
    "edsr_x2": (1.37, 224, 224),  # arXiv 1707.02921, baseline
    "real_esrgan_compact_x4": (4.9 / 4, 128, 128),
    "fast_neural_style": (6.78 / 4, 640, 640),  # file of React Native ExecuTorch
    "fcn_resnet50": (66 / 2, 520, 520),  # files of float16
    "fcn_resnet101": (104 / 2, 520, 520),
    "deeplabv3_resnet50": (80 / 2, 520, 520),
    "deeplabv3_resnet101": (118 / 2, 520, 520),
    "deeplabv3_mobilenet_v3_large": (22.5 / 2, 520, 520),
    "lraspp_mobilenet_v3_large": (6.5 / 2, 520, 520),
}
"""Millions of parameters of image-to-image networks, and the height and width of an input. A
file also holds the network's graph."""


def agrees(value: float, printed: float, tolerance: float) -> bool:
    """Whether a value rounds to the printed one, or lies within the tolerance of it."""
    rounding = 0.5 * 10.0 ** -len(str(printed).partition(".")[2])
    return abs(value - printed) <= max(rounding * 1.1, tolerance * printed)


@pytest.mark.parametrize("name", PRINTED)
def test_sizes_are_the_printed_ones(name: str) -> None:
    side = 112 if name.startswith("edgeface") else 224
    spec = NetworkSpec(f"published:{name}" if name in NETWORKS else name, side, side)
    parameters = sum(parameter.numel() for parameter in build(spec).parameters())
    macs = float(lower_network(spec).totals()["macs"][0])
    printed_parameters, printed_macs = PRINTED[name]
    assert agrees(parameters / 1e6, printed_parameters, tolerance=0.01)
    assert agrees(macs / 1e9, printed_macs, tolerance=0.02)


@pytest.mark.parametrize("name", PARAMETERS)
def test_image_to_image_networks_have_the_printed_sizes(name: str) -> None:
    printed, height, width = PARAMETERS[name]
    spec = NetworkSpec(f"published:{name}", height, width)
    parameters = sum(parameter.numel() for parameter in build(spec).parameters())
    assert parameters / 1e6 == pytest.approx(printed, rel=0.05 if name.startswith("snap") else 0.02)
    assert lower_network(spec).totals()["macs"][0] > 1e9


def test_the_half_decoder_has_a_quarter_of_the_macs() -> None:
    """SnapFusion, section 3.2: "approximately 1/4 size and MACs of the original one"."""
    whole, half = (
        float(lower_network(NetworkSpec(f"published:{name}", 64, 64)).totals()["macs"][0])
        for name in ("sd15_decoder", "snapfusion_decoder")
    )
    assert half / whole == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("name", ["modnet", "u2net", "isnet", "depth_anything_s"])
def test_masks_and_depths_have_the_size_of_the_image(name: str) -> None:
    network = build(NetworkSpec(f"published:{name}", 224, 448))
    assert network(torch.empty(1, 3, 224, 448, device="meta")).shape == (1, 1, 224, 448)


def test_decoders_and_upscalers_enlarge_their_input() -> None:
    decoder = build(NetworkSpec("published:sd15_decoder", 8, 8))
    assert decoder(torch.empty(1, 4, 8, 8, device="meta")).shape == (1, 3, 64, 64)
    for name, factor in {"edsr_x2": 2, "edsr_x4": 4, "real_esrgan_compact_x4": 4}.items():
        upscaler = build(NetworkSpec(f"published:{name}", 8, 8))
        side = 8 * factor
        assert upscaler(torch.empty(1, 3, 8, 8, device="meta")).shape == (1, 3, side, side)


@pytest.mark.parametrize(("name", "channels"), [("fast_neural_style", 3), ("fcn_resnet50", 21)])
def test_styles_and_logits_have_the_size_of_the_image(name: str, channels: int) -> None:
    network = build(NetworkSpec(f"published:{name}", 64, 96))
    assert network(torch.empty(1, 3, 64, 96, device="meta")).shape == (1, channels, 64, 96)


def test_every_published_network_is_checked_and_timed() -> None:
    assert set(NETWORKS) == PRINTED.keys() & set(NETWORKS) | PARAMETERS.keys()
    files = (SHIPPED_PROFILES, SHIPPED_PROFILES.parent / "image_to_image.csv")
    rows = pd.concat(pd.read_csv(file, dtype=str, keep_default_na=False) for file in files)
    assert {f"published:{name}" for name in NETWORKS} <= set(rows["timm_name_if_any"])


def test_rows_of_published_networks_are_calibrated_with_by_family() -> None:
    rows, _ = calibration_rows(None)
    families = rows.loc[rows["timm_name_if_any"].str.startswith("published:"), "family"]
    assert set(families) == {
        "mobilevig", "repnext", "sd", "snapfusion", "depth", "modnet", "isnet", "u", "fast",
    }  # fmt: skip


def test_a_backbone_ends_in_its_feature_maps() -> None:
    whole, backbone = (
        lower_network(NetworkSpec("published:repnext_m3", 512, 512, backbone=b))
        for b in (False, True)
    )
    assert len(whole) == len(backbone) + 2
    assert whole.totals()["parameters"] - backbone.totals()["parameters"] == 512 * 1000 + 1000


def test_unknown_published_names_are_refused() -> None:
    with pytest.raises(UnknownNetwork, match=r"'repnext_m9'.* repnext_m1"):
        build(NetworkSpec("published:repnext_m9", 224, 224))
