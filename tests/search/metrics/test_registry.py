import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search.metrics import KNOWN, METRICS, MetricError, available, external, find_metric


def test_names_find_their_metrics() -> None:
    assert all(
        find_metric(name) is metric and metric.name == name for name, metric in available().items()
    )
    assert set(METRICS) <= set(available()) <= set(KNOWN)


def test_a_near_miss_is_told() -> None:
    with pytest.raises(
        MetricError, match=r"did you mean ssimulacra2\? available: ssimulacra2, ms_"
    ):
        find_metric("ssimulacra")
    with pytest.raises(MetricError, match="'loudness' is unknown; available: "):
        find_metric("loudness")


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(external.METRIC_PACKAGES, "st_lpips", ("absent_package",))
    assert "st_lpips" not in available()
    with pytest.raises(
        MetricError, match=r"^metric st_lpips needs absent_package: pip install .* available: "
    ):
        find_metric("st_lpips")


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_absent_weights_are_named_and_not_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(MetricError, match=f"needs vgg16-397923af.pth and {name}_weights.pt in "):
        find_metric(name)
    assert not list(tmp_path.iterdir())


def test_weight_files_that_could_run_code_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    for file in external.HUB_FILES["dists"]:
        torch.save({"alpha": print}, tmp_path / "checkpoints" / file)
    image = torch.zeros(1, 3, 64, 64)
    with pytest.raises(MetricError, match="or more than weights"):
        find_metric("dists")(image, image)


def test_importing_the_metrics_loads_none_of_their_packages() -> None:
    heavy = ("piq", "pycvvdp", "timm", "stlpips_pytorch", "vmaf_torch", "torchvision")
    code = f"import sys, search.metrics; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
