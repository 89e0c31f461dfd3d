"""Optional metrics, whose packages or weights may be missing. Training never uses them.

Nothing is downloaded. Weights come with a package, or lie in the folder of torch's earlier
downloads, which `TORCH_HOME` sets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from search.metrics.interface import Metric, MetricError, decibels, same

VGG16 = "vgg16-397923af.pth"
"""File of torchvision's VGG-16 weights, trained on ImageNet."""
HUB_FILES = {"lpips": (VGG16, "lpips_weights.pt"), "dists": (VGG16, "dists_weights.pt")}
"""Files with the weights of the networks in piq, by metric."""
METRIC_PACKAGES = {
    "st_lpips": ("stlpips_pytorch", "torchsummary", "IPython"),
    "vmaf": ("vmaf_torch",),
}
"""Required modules, by metric. The package stlpips_pytorch imports torchsummary and IPython without
declaring them."""


def why_unavailable(name: str) -> str | None:
    """One line that says what an optional metric lacks, or None if it is available."""
    if name in METRIC_PACKAGES:
        modules = [module for module in METRIC_PACKAGES[name] if find_spec(module) is None]
        if modules:
            return f"needs {', '.join(modules)}: pip install 'codec-search[judge]'"
        return None
    files = [file for file in HUB_FILES[name] if not (_checkpoints() / file).exists()]
    if files:
        return f"needs {' and '.join(files)} in {_checkpoints()}; weights are not downloaded"
    return None


def st_lpips(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Shift-tolerant LPIPS [N] on AlexNet (Ghildyal and Liu, 2022)."""
    model = _st_lpips(str(original.device))
    with torch.no_grad():
        return model(2 * original - 1, 2 * reconstruction.clamp(0, 1) - 1).flatten()


def vmaf(original: Tensor, reconstruction: Tensor) -> Tensor:
    """VMAF NEG [N] of luma (BT.709, full range), at least 0. Equal images score about 97."""
    luma = torch.tensor([0.2126, 0.7152, 0.0722], device=original.device).view(1, 3, 1, 1) * 255
    x, y = ((image * luma).sum(dim=1, keepdim=True) for image in (original, reconstruction))
    with torch.no_grad():
        return _vmaf(str(original.device))(x, y).flatten()


def lpips(original: Tensor, reconstruction: Tensor) -> Tensor:
    """LPIPS [N] on VGG-16 (Zhang et al., 2018)."""
    with torch.no_grad():
        return _piq("lpips", str(original.device))(reconstruction, original).flatten()


def dists(original: Tensor, reconstruction: Tensor) -> Tensor:
    """DISTS [N] (Ding et al., 2020)."""
    with torch.no_grad():
        return _piq("dists", str(original.device))(reconstruction, original).flatten()


def _checkpoints() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


@cache
def _st_lpips(device: str) -> Any:
    from stlpips_pytorch import stlpips

    model = stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    return model.to(device).requires_grad_(False)


@cache
def _vmaf(device: str) -> Any:
    from vmaf_torch import VMAF

    return VMAF(enable_motion=False, NEG=True).to(device)


@cache
def _piq(name: str, device: str) -> Any:
    """A network of piq, with weights from torch's folder.

    Raises MetricError if a file is not a plain file of tensors.
    """
    import piq

    for file in HUB_FILES[name]:
        # piq unpickles the files; this check refuses a file that holds more than tensors.
        try:
            torch.load(_checkpoints() / file, map_location="cpu", weights_only=True)
        except (UnpicklingError, RuntimeError, EOFError) as error:
            raise MetricError(
                f"{_checkpoints() / file} holds no weights, or more than weights: "
                f"expected the file as torch or piq downloads it"
            ) from error
    network = {"lpips": piq.LPIPS, "dists": piq.DISTS}[name]
    return network(reduction="none").to(device)


def _optional(name: str, label: str, score: Callable[[Tensor, Tensor], Tensor]) -> Metric:
    """An optional metric that is a distance: 0 for equal images."""
    return Metric(name, label, False, 0.0, score, decibels, min_side=64)


OPTIONAL_METRICS = {
    "st_lpips": _optional("st_lpips", "ST-LPIPS (dB)", st_lpips),
    "lpips": _optional("lpips", "LPIPS (dB)", lpips),
    "dists": _optional("dists", "DISTS (dB)", dists),
    "vmaf": Metric("vmaf", "VMAF NEG", True, 97.0, vmaf, same, min_side=64),
}
"""Optional metrics by name, available or not."""
