"""Cost of the metrics, agreement of the SSIMULACRA2 port, and scales of losses against the MSE.

    python benchmarks/metric_costs.py KODAK [--agreement] [--cost] [--scales]

KODAK holds the 24 photographs. Without a flag, all three parts are printed, as tables in Markdown.
Everything runs on one thread. Times are processor seconds, the minimum of five runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import ssimulacra2
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from search.metrics import METRICS, Metric, available
from search.metrics.interface import Measure
from search.report.markdown import markdown_table
from space.pixels import to_batch

QUALITIES = (5, 10, 20, 35, 50, 65, 80, 90, 95)
"""Qualities of JPEG."""
SIDE = 256
"""Side of crops in pixels."""
RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kodak", type=Path)
    parts = {"agreement": agreement, "cost": cost, "scales": scales}
    for name in parts:
        parser.add_argument(f"--{name}", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = [Image.open(path).convert("RGB") for path in sorted(arguments.kodak.glob("*.png"))]
    chosen = [part for name, part in parts.items() if getattr(arguments, name)]
    for part in chosen or parts.values():
        part(images)


def agreement(images: list[Image.Image]) -> None:
    """Print the differences between the port of SSIMULACRA2 and the package, and their times."""
    errors: dict[str, list[float]] = {}
    package_s = port_s = 0.0
    for image in images:
        for name, other in distorted(image):
            files = BytesIO(), BytesIO()
            for file, picture in zip(files, (image, other), strict=True):
                picture.save(file, "PNG", compress_level=0)
            pair = to_batch(np.asarray(image)), to_batch(np.asarray(other))
            started = time.process_time()
            expected = ssimulacra2.compute_ssimulacra2(*files)
            between = time.process_time()
            with torch.no_grad():
                score = METRICS["ssimulacra2"](*pair).item()
            package_s += between - started
            port_s += time.process_time() - between
            errors.setdefault(name, []).append(abs(score - expected))
    errors["all"] = [error for values in list(errors.values()) for error in values]
    rows = (
        [name, len(values), f"{max(values):.5f}", f"{np.mean(values):.5f}"]
        for name, values in errors.items()
    )
    headers = ("SSIMULACRA2, port and package", "pairs", "largest difference", "mean")
    print(markdown_table(headers, rows))
    pairs = len(errors["all"])
    print(
        f"\n{package_s / pairs:.3f} s by the package, {port_s / pairs:.3f} s by the port: "
        f"{package_s / port_s:.1f} times"
    )


def cost(images: list[Image.Image]) -> None:
    """Print the times of scores, losses and gradients."""
    original = torch.cat([to_batch(np.asarray(image))[..., :SIDE, :SIDE] for image in images[:4]])
    coded_images = [to_batch(np.asarray(coded(image, "JPEG", 50))) for image in images[:4]]
    other = torch.cat([image[..., :SIDE, :SIDE] for image in coded_images])
    rows = []
    for name, metric in available().items():
        with torch.no_grad():
            score_ms = milliseconds(metric, original, other)
        losses = [f"{ms:.1f}" for ms in training_ms(metric, original, other)] or ["", ""]
        rows.append([name, f"{score_ms:.1f}", *losses, f"{1e3 * score_ms / SIDE**2:.2f}"])
    crop = f"ms per {SIDE}x{SIDE} crop"
    print(markdown_table((crop, "score", "loss", "loss and gradient", "score, s/Mpx"), rows))


def training_ms(metric: Metric, original: Tensor, other: Tensor) -> list[float]:
    """Milliseconds of the loss, and of loss and gradient; empty for a metric without a loss."""
    if metric.loss is None:
        return []
    image = other.clone().requires_grad_()

    def with_gradient(original: Tensor, image: Tensor) -> Tensor:
        assert metric.loss is not None
        return torch.autograd.grad(metric.loss(original, image).sum(), image)[0]

    return [milliseconds(call, original, image) for call in (metric.loss, with_gradient)]


def scales(images: list[Image.Image]) -> None:
    """Print the scale and the slope of each loss against the MSE."""
    losses: dict[str, Measure] = {name: m.loss for name, m in METRICS.items() if m.loss}
    means = {quality: mean_losses(images, quality, losses) for quality in QUALITIES}
    drop = means[35] - means[65]
    mse = list(losses).index("psnr")
    logs = np.diff(np.log([means[quality] for quality in QUALITIES]), axis=0)
    rows = []
    for i, name in enumerate(losses):
        slopes = " ".join(f"{slope:.2f}" for slope in logs[:, i] / logs[:, mse])
        rows.append([name, f"{drop[mse] / drop[i]:.3g}", slopes])
    steps = " ".join(f"{a}-{b}" for a, b in pairwise(QUALITIES))
    slope = f"d log loss / d log MSE, JPEG quality {steps}"
    print(markdown_table(("loss", "MSE_PER_LOSS", slope), rows))


def mean_losses(
    images: list[Image.Image], quality: int, losses: dict[str, Measure]
) -> NDArray[np.float64]:
    """Mean of each loss over the central squares of JPEG images of this quality."""
    rows = []
    for image in images:
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        box = left, top, left + SIDE, top + SIDE
        pair = (to_batch(np.asarray(x.crop(box))) for x in (image, coded(image, "JPEG", quality)))
        original, other = pair
        with torch.no_grad():
            rows.append([loss(original, other).item() for loss in losses.values()])
    return np.mean(rows, axis=0)


def distorted(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Distorted versions of an image, by name."""
    for quality in (5, 30, 60, 90):
        yield f"JPEG {quality}", coded(image, "JPEG", quality)
        yield f"WebP {quality}", coded(image, "WEBP", quality)
    rng = np.random.default_rng(0)
    for strength in (0.6, 1.5, 4.0):
        yield f"blur {strength} px", image.filter(ImageFilter.GaussianBlur(strength))
        noise = rng.normal(0, 4 * strength, (image.height, image.width, 3))
        noisy = (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)
        yield f"noise {4 * strength:.1f} levels", Image.fromarray(noisy)


def coded(image: Image.Image, kind: str, quality: int) -> Image.Image:
    """The image after a codec of Pillow."""
    file = BytesIO()
    image.save(file, kind, quality=quality)
    return Image.open(file).convert("RGB")


def milliseconds(
    call: Callable[[Tensor, Tensor], Tensor], original: Tensor, other: Tensor
) -> float:
    """Processor milliseconds per image, the minimum of RUNS runs."""
    seconds = []
    for _ in range(RUNS):
        started = time.process_time()
        call(original, other)
        seconds.append(time.process_time() - started)
    return 1e3 * min(seconds) / len(original)


if __name__ == "__main__":
    main()
