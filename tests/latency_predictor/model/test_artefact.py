import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latency_predictor.devices import UnknownDevice
from latency_predictor.model import artefact
from latency_predictor.model.artefact import ArtefactError
from latency_predictor.model.recalibrate import calibration_rows
from latency_predictor.model.times import Posterior
from latency_predictor.profiles import lowered


def test_a_saved_artefact_loads_as_it_was(tmp_path: Path) -> None:
    artefact.save(artefact.load(), tmp_path / "latency.json")
    assert (tmp_path / "latency.json").read_text() == artefact.SHIPPED_MODEL.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["latency.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("[]", "cannot read"),
        ("{}", "cannot read"),
        (json.dumps({"format": 99}), "format 99; this version reads 3"),
        (json.dumps({"format": 3}), "is incomplete"),
        (json.dumps({"format": 3, "constants": ["one"]}), "those of another version"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "latency.json"
    path.write_text(text)
    with pytest.raises(ArtefactError, match=message):
        artefact.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["common"].clear(), "group '.*' has no common"),
        (lambda content: content["intervals"].popitem(), "do not match"),
        (lambda content: content["intervals"]["a15-ane"].update(quantile="x"), "incomplete"),
        (lambda content: content["intervals"]["a15-ane"].update(noise=float("nan")), "infinite"),
        (lambda content: content["devices"]["a15-ane"]["mean"].pop(), "constants, not"),
        (
            lambda content: content["devices"]["a15-ane"]["covariance"][0].__setitem__(0, -1.0),
            "not positive definite",
        ),
    ],
)
def test_a_damaged_model_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = json.loads(artefact.SHIPPED_MODEL.read_text())
    del content["sha256"]
    change(content)
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match=message):
        artefact.load(path)


def test_op_lists_survive_saving(tmp_path: Path) -> None:
    known = lowered.load()
    lowered.save(known, tmp_path / "networks.npz")
    again = lowered.load(tmp_path / "networks.npz")
    assert list(again) == list(known)
    for network, table in known.items():
        assert again[network].totals() == table.totals()


def test_held_out_scores_are_kept() -> None:
    rows, _ = calibration_rows(None)
    of_devices = rows["calibration"].value_counts()
    checked = of_devices[of_devices >= 10].sum()
    protocols = artefact.load().cross_validation
    assert set(protocols) == {"held_out_family", "random_split"}
    for models in protocols.values():
        assert set(models) == {
            "roofline", "ridge", "gradient_boosting", "macs_only", "unlearned_roofline",
        }  # fmt: skip
        for scores in models.values():
            for labels in scores.values():
                counts = [score["n"] for score in labels.values()]
                assert sum(counts) == checked


def test_a_digest_tells_of_a_change_in_what_predicts_for_the_device() -> None:
    shipped = artefact.load()
    slower = {
        key: Posterior(one.mean + 1e-9, one.covariance) if key == "a15-ane" else one
        for key, one in shipped.devices.items()
    }
    wider = {key: replace(one, quantile=9.0) for key, one in shipped.intervals.items()}
    devices = ("iphone13", "iphone16pro", "iphone17")
    before = {device: shipped.digest(device) for device in devices}
    assert len(set(before.values())) == len(devices)
    assert shipped.digest("iPhone 14") == before["iphone13"]
    changed = replace(shipped, devices=slower)
    assert [d for d in devices if changed.digest(d) != before[d]] == ["iphone13"]
    changed = replace(shipped, intervals=wider)
    assert changed.digest("iphone13") != before["iphone13"]
    changed = replace(shipped, cross_validation={}, offsets={}, calibration_sha256="")
    assert {device: changed.digest(device) for device in devices} == before


@pytest.mark.parametrize("device", ["local_cpu", "iphone99", "iphone8"])
def test_a_device_that_is_not_predicted_has_no_digest(device: str) -> None:
    with pytest.raises(UnknownDevice, match=device):
        artefact.load().digest(device)
