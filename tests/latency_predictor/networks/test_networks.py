import pytest

from latency_predictor.networks.names import NetworkSpec, UnknownNetwork, build, lower_network


def family(name: str) -> str:
    return NetworkSpec(name, 224, 224).family


def test_relatives_share_a_family() -> None:
    assert family("mobilenetv2_100") == family("torchvision:mobilenet_v2(width_mult=0.35)")
    assert family("vgg11") == family("vgg19_bn")
    assert family("tf_efficientnetv2_s") == family("efficientnetv2_rw_s") == "efficientnetv2"
    assert family("mobilenetv2_100") != family("mobilenetv3_large_100")
    assert family("pvt_v2_b1") == "pvtv2"


@pytest.mark.parametrize(
    "name", ["no_such_net", "torchvision:no_such_net", "torchvision:mobilenet_v2(__import__('os'))"]
)
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownNetwork, match=r"no_such_net|mobilenet_v2"):
        build(NetworkSpec(name, 224, 224))


def test_a_size_that_a_network_refuses_is_reported() -> None:
    with pytest.raises(UnknownNetwork, match=r"vit_tiny_patch16_224.* at 9x9"):
        lower_network(NetworkSpec("vit_tiny_patch16_224", 9, 9))


def test_reparameterised_networks_are_in_inference_form() -> None:
    branches = {
        n.split(".")[-1] for n, _ in build(NetworkSpec("mobileone_s0", 224, 224)).named_modules()
    }
    assert "conv_kxk" not in branches


def test_backbone_has_no_classifier() -> None:
    whole = lower_network(NetworkSpec("resnet50", 512, 512)).totals()
    backbone = lower_network(NetworkSpec("resnet50", 512, 512, backbone=True)).totals()
    assert whole["parameters"] - backbone["parameters"] == 2048 * 1000 + 1000


def test_attention_tables_follow_the_resolution() -> None:
    small, large = (
        lower_network(NetworkSpec("efficientformer_l1", side, side)).totals()["macs"][0]
        for side in (224, 512)
    )
    assert large > (512 / 224) ** 2 * small
