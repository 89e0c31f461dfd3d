import json
from pathlib import Path
from typing import Any

import pytest

from search.report.rank_fidelity import (
    FidelityError,
    RankFidelity,
    describe_fidelity,
    find_fidelity,
)

RECORD: dict[str, Any] = {
    "supernet": "0123456789abcdef",
    "space": "pico_small",
    "metric": "ssimulacra2",
    "tau": 0.5,
    "low": 0.25,
    "high": 1,
    "codecs": 24,
    "against": "the same codecs trained from their own start for 600 steps",
    "command": "python benchmarks/rank_truth.py PHOTOS WORK",
    "photographs": "24 crops of 13 photographs",
}
WANTED = ("0123456789abcdef", "pico_small", "ssimulacra2")


def written(folder: Path, *records: Any) -> Path:
    path = folder / "fidelity.json"
    path.write_text(json.dumps(records))
    return path


def test_what_was_measured_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, RECORD | {"metric": "psnr", "tau": 0.1}, RECORD)
    assert find_fidelity(*WANTED, path) == RankFidelity(**RECORD)
    assert describe_fidelity(*WANTED, path) == (
        "Rank fidelity of this supernet by ssimulacra2: tau 0.50 (0.25 to 1.00) over 24 codecs "
        "against the same codecs trained from their own start for 600 steps."
    )


@pytest.mark.parametrize("other", ["supernet", "space", "metric"])
def test_of_another_supernet_space_or_metric_nothing_is_known(other: str, tmp_path: Path) -> None:
    path = written(tmp_path, RECORD | {other: "other"})
    assert find_fidelity(*WANTED, path) is None
    assert describe_fidelity(*WANTED, path) == (
        "Nobody has measured how well this supernet ranks pico_small by ssimulacra2; "
        "benchmarks/rank_truth.py does."
    )


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert find_fidelity(*WANTED, tmp_path / "fidelity.json") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tau": "0.5"}, "record 2, tau: input should be a valid number, not '0.5'"),
        ({"codecs": 24.5}, "record 2, codecs: input should be a valid integer"),
        ({"against": None}, "record 2, against: input should be a valid string, not None"),
        ({"taus": 1}, "record 2, taus: unexpected keyword argument, not 1"),
    ],
)
def test_a_wrong_type_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, RECORD, RECORD | change)
    with pytest.raises(FidelityError) as caught:
        find_fidelity(*WANTED, path)
    assert str(caught.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[{}]", "[NaN]", "not JSON"])
def test_a_file_of_another_kind(text: str, tmp_path: Path) -> None:
    path = tmp_path / "fidelity.json"
    path.write_text(text)
    with pytest.raises(FidelityError, match=str(path)):
        find_fidelity(*WANTED, path)
