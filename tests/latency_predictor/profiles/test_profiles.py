from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from latency_predictor.errors import InputWarning
from latency_predictor.model import artefact
from latency_predictor.model.recalibrate import calibration_rows
from latency_predictor.networks.names import lower_network
from latency_predictor.profiles import lowered
from latency_predictor.profiles.row_filters import CALIBRATE, USES, filter_row
from latency_predictor.profiles.table import (
    IMAGE_TO_IMAGE,
    SHIPPED_PROFILES,
    ProfileError,
    fingerprint,
    read_profiles,
    usable,
)

HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"


Written = Callable[..., Path]


@pytest.mark.parametrize("name", ["models.csv", "image_to_image.csv", "ops.csv", "chips.csv"])
def test_every_shipped_row_has_a_source(name: str) -> None:
    rows = pd.read_csv(SHIPPED_PROFILES.parent / name, dtype=str, keep_default_na=False)
    assert len(rows) > 20
    assert (rows["source"] != "").all()
    if "source_ref" in rows.columns:
        assert (rows["source_ref"] != "").all()


@pytest.mark.parametrize(
    ("name", "uses"),
    [("models.csv", set(USES)), ("image_to_image.csv", {"calibrate", "check", "unfit"})],
)
def test_shipped_filters_are_complete_and_follow_the_rules(name: str, uses: set[str]) -> None:
    rows = pd.read_csv(SHIPPED_PROFILES.parent / name, dtype=str, keep_default_na=False)
    assert set(rows["use"]) == uses
    assert ((rows["why"] == "") == (rows["use"] == CALIBRATE)).all()
    filtered = [filter_row(row) for row in rows.to_dict("records")]
    assert filtered == list(zip(rows["use"], rows["why"], strict=True))


def test_a_place_of_publication_has_one_source() -> None:
    """Sources are left out by their names, which must not differ between or within the files."""
    rows = pd.concat(map(read_profiles, (SHIPPED_PROFILES, IMAGE_TO_IMAGE)))
    used = rows[(rows["use"] == CALIBRATE) & rows["source_ref"].str.startswith("github ")]
    assert (used.groupby("source_ref")["source"].nunique() == 1).all()


def test_a_file_without_use_and_why_is_filtered(tmp_path: Path) -> None:
    rows = pd.read_csv(SHIPPED_PROFILES, dtype=str, keep_default_na=False)
    raw = tmp_path / "raw.csv"
    rows.drop(columns=["use", "why"]).to_csv(raw, index=False)
    assert list(read_profiles(raw)["use"]) == list(rows["use"])


def test_a_file_may_restrict_but_not_release(written: Written) -> None:
    unfit = ROW.replace("own", "react-native-executorch")
    path = written(HEADER + ",use", ROW + ",check", unfit + ",calibrate", ROW + ",")
    assert list(read_profiles(path)["use"]) == ["check", "unfit", "calibrate"]


def test_shipped_artefact_was_fitted_to_the_shipped_rows() -> None:
    rows, _ = calibration_rows(None)
    shipped = artefact.load()
    assert shipped.calibration_sha256 == fingerprint(rows)
    assert shipped.calibration_rows == len(rows)
    assert set(shipped.devices) == set(rows["calibration"]) == set(shipped.intervals)
    assert set(rows["network"]) <= set(lowered.load())
    few = rows["calibration"].value_counts().loc[lambda counts: counts < 10].index
    assert set(few) == {"a16-ane", "a17pro-ane", "a19-ane", "a19pro-ane"}
    assert all(shipped.intervals[key] == shipped.unseen["ane"] for key in few)


def test_shipped_op_lists_are_those_of_today() -> None:
    known = lowered.load()
    for name in ("resnet18", "mobilenetv2_050", "fastvit_t8"):
        network = next(network for network in known if network.name == name)
        kept, traced = known[network].totals(), lower_network(network).totals()
        assert {k: v.tolist() for k, v in kept.items()} == {
            k: v.tolist() for k, v in traced.items()
        }


def test_rounding_step_is_the_finest_of_its_table(written: Written) -> None:
    path = written(HEADER, ROW, ROW.replace("1.20", "2.35"), ROW.replace("own", "b"))
    assert usable(read_profiles(path))["quantum_ms"].tolist() == pytest.approx([0.01, 0.01, 0.1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "is empty|has a header but no rows"),
        ((HEADER,), "has a header but no rows"),
        ((HEADER.replace("latency_ms", "ms"), ROW), "lacks latency_ms"),
        ((HEADER + ",use", ROW + ",perhaps"), "use 'perhaps'; accepted: calibrate, check"),
    ],
)
def test_bad_files_are_refused(written: Written, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        read_profiles(written(*lines))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.csv"):
        read_profiles(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("latency", ["", "fast", "0", "-1", "nan", "inf"])
def test_unreadable_latencies_are_unfit(written: Written, latency: str) -> None:
    with pytest.warns(InputWarning, match=rf"line 2: latency_ms '{latency}' is not a positive"):
        rows = read_profiles(written(HEADER, ROW.replace("1.20", latency)))
    assert rows.loc[0, "use"] == "unfit"


def test_the_counts_in_the_readme_are_those_of_the_file() -> None:
    text = (SHIPPED_PROFILES.parent / "README.md").read_text()
    counts = read_profiles(SHIPPED_PROFILES)["use"].value_counts()
    for use in USES:
        assert f"| `{use}` | {counts[use]} |" in text
