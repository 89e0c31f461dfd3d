"""The conformance suite of metrics, on real photographs."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from search.metrics import KNOWN, METRICS, Metric, MetricError
from search.metrics.external import why_unavailable
from search.metrics.loss import MSE_PER_LOSS

QUALITIES = (5, 15, 30, 50, 75, 95)
Jpeg = Callable[[Tensor, int], Tensor]


@pytest.fixture(params=KNOWN)
def metric(request: pytest.FixtureRequest) -> Metric:
    name = request.param
    reason = None if name in METRICS else why_unavailable(name)
    if reason:
        pytest.skip(f"{name} {reason}")
    return KNOWN[name]


@pytest.fixture
def trainable(metric: Metric) -> Metric:
    if not metric.differentiable:
        pytest.skip(f"{metric.name} is never trained on")
    return metric


def test_equal_images_have_the_best_score(metric: Metric, photographs: Tensor) -> None:
    scores = metric(photographs, photographs.clone())
    tolerance = 3 if metric.name == "vmaf" else 1e-5
    assert scores.tolist() == pytest.approx([metric.best] * 4, abs=tolerance)


def test_rises_with_jpeg_quality_on_every_photograph(
    metric: Metric, photographs: Tensor, jpeg: Jpeg
) -> None:
    scores = torch.stack([metric(photographs, jpeg(photographs, q)) for q in QUALITIES])
    rising = scores.diff(dim=0) > 0 if metric.higher_is_better else scores.diff(dim=0) < 0
    assert rising.all(), scores
    qualities = [[metric.quality(x) for x in column] for column in scores.T.tolist()]
    assert all(column == sorted(set(column)) for column in qualities)


def test_no_reconstruction_is_better_than_the_original(
    metric: Metric, photographs: Tensor, jpeg: Jpeg
) -> None:
    best = metric.quality(metric(photographs, photographs).max().item())
    assert metric.quality(metric(photographs[:1], jpeg(photographs[:1], 95)).item()) < best


def test_a_batch_is_scored_as_its_images(metric: Metric, photographs: Tensor, jpeg: Jpeg) -> None:
    other = jpeg(photographs, 40)
    alone = [metric(photographs[i : i + 1], other[i : i + 1]).item() for i in range(4)]
    together = metric(photographs, other)
    assert together.shape == (4,)
    assert together.tolist() == pytest.approx(alone, rel=1e-4)


def test_equal_arguments_give_equal_scores_and_stay_as_they_are(
    metric: Metric, photographs: Tensor, jpeg: Jpeg
) -> None:
    original, other = photographs[:1].clone(), jpeg(photographs[:1], 40)
    before = original.clone(), other.clone()
    assert torch.equal(metric(original, other), metric(original, other))
    assert torch.equal(original, before[0])
    assert torch.equal(other, before[1])


@pytest.mark.parametrize("case", ["black", "white", "inverted", "noise"])
def test_scores_and_qualities_are_finite(metric: Metric, photographs: Tensor, case: str) -> None:
    image = photographs[:1]
    others = {
        "black": torch.zeros_like(image),
        "white": torch.ones_like(image),
        "inverted": 1 - image,
        "noise": torch.rand(image.shape, generator=torch.Generator().manual_seed(0)),
    }
    for pair in ((image, others[case]), (others[case], image), (others[case], others[case])):
        score = metric(*pair).item()
        assert math.isfinite(score)
        assert math.isfinite(metric.quality(score))


@pytest.mark.parametrize(
    ("original", "reconstruction", "said"),
    [
        ((1, 3, 176, 176), (1, 3, 176, 160), "expected two equal shapes"),
        ((3, 176, 176), (3, 176, 176), "expected two equal shapes"),
        ((1, 1, 176, 176), (1, 1, 176, 176), "expected two equal shapes"),
    ],
)
def test_other_shapes_are_refused(
    metric: Metric, original: tuple[int, ...], reconstruction: tuple[int, ...], said: str
) -> None:
    for shapes in ((original, reconstruction), (reconstruction, original)):
        with pytest.raises(MetricError, match=f"{metric.name} .*{said}"):
            metric(*map(torch.zeros, shapes))


def test_the_least_side_is_enough_and_less_is_refused(metric: Metric, photographs: Tensor) -> None:
    side = metric.min_side
    small = photographs[:1, :, :side, : side + 1]
    assert metric(small, small.flip(3)).isfinite().all()
    if side > 1:
        with pytest.raises(MetricError, match=f"at least {side}"):
            metric(small[:, :, 1:], small[:, :, 1:])


@pytest.mark.parametrize("case", ["jpeg", "equal", "black", "inverted", "grey", "beyond"])
def test_gradients_are_finite(
    trainable: Metric, photographs: Tensor, jpeg: Jpeg, case: str
) -> None:
    original = photographs[:2]
    black = torch.zeros_like(original)
    original, other = {
        "jpeg": (original, jpeg(original, 30)),
        "equal": (original, original.clone()),
        "black": (black, black.clone()),
        "inverted": (original, 1 - original),
        "grey": (original, original.mean(dim=1, keepdim=True).expand_as(original)),
        "beyond": (original, original * 3 - 1),
    }[case]
    other = other.clone().requires_grad_()
    assert trainable.loss is not None
    loss = trainable.loss(original, other)
    loss.sum().backward()
    assert other.grad is not None
    assert (loss >= -1e-6).all()
    assert other.grad.isfinite().all()


def test_descent_improves_the_score(trainable: Metric, photographs: Tensor, jpeg: Jpeg) -> None:
    original, image = photographs[:1], jpeg(photographs[:1], 15)
    before = trainable.quality(trainable(original, image).item())
    assert trainable.loss is not None
    for _ in range(3):
        image = image.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(trainable.loss(original, image).sum(), image)
        image = (image - 0.005 * gradient / gradient.abs().mean() * 0.1).clamp(0, 1)
    assert trainable.quality(trainable(original, image.detach()).item()) > before


def test_the_judges_are_never_trained_on() -> None:
    assert {name for name, metric in KNOWN.items() if metric.differentiable} == set(MSE_PER_LOSS)
    assert "st_lpips" not in MSE_PER_LOSS
