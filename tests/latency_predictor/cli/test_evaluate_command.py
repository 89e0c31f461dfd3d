"""The command `evaluate`, as a user meets it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latency_predictor.model import artefact

Output = Callable[..., Any]
Failure = Callable[..., str]
HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"


def test_evaluate_scores_a_file(output: Output, written: Callable[..., Path]) -> None:
    path = written(
        HEADER,
        ROW,
        ROW.replace("resnet18", "resnet34").replace("iPhone 13", "iPhone 12 Pro"),
        ROW.replace("resnet18", "no_such_net"),
        ROW.replace("iPhone 13", "iPhone X"),  # Core ML does not use its Neural Engine
        ROW.replace("1.20", "soon"),
        ROW.replace("own", "react-native-executorch"),
    )
    found = output("evaluate", "--profiles", str(path))
    assert found["overall"]["n"] == 2
    assert set(found["per_device"]) == {"iphone13", "iphone12pro"}
    assert found["per_source"]["own"]["n"] == 2
    assert found["not_scored"] == {
        "device without calibration": 1,
        "network cannot be rebuilt": 1,
        "unfit: latency unreadable": 1,
        "unfit: whole app call, not inference": 1,
    }


def test_evaluate_of_only_good_and_of_no_good_rows(
    output: Output, written: Callable[..., Path]
) -> None:
    found = output("evaluate", "--profiles", str(written(HEADER, ROW)))
    assert found["not_scored"] == {}
    found = output("evaluate", "--profiles", str(written(HEADER, ROW.replace("1.20", "?"))))
    assert found["overall"]["n"] == 0
    assert found["not_scored"] == {"unfit: latency unreadable": 1}


def test_evaluate_tells_in_sample_from_held_out(output: Output) -> None:
    found = output("evaluate")
    inside = found["in_sample"]["overall"]
    held_out = found["cross_validation"]["held_out_family"]["roofline"]
    assert inside["n"] == artefact.load().calibration_rows
    outside = held_out["pooled"].values()
    assert inside["mape"] < sum(one["n"] * one["mape"] for one in outside) / inside["n"]


def test_no_such_file(failure: Failure) -> None:
    assert "nowhere.csv" in failure("evaluate", "--profiles", "nowhere.csv")
