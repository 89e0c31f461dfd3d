import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from latency_predictor.model.artefact import ArtefactError
from latency_predictor.networks.names import NetworkSpec
from latency_predictor.ops import COLUMNS, Kind, OpTable, concatenate
from latency_predictor.placement import placement, placement_fit
from latency_predictor.placement.placement import FEATURES, FLAG, Placement, features
from latency_predictor.profiles import lowered
from latency_predictor.profiles.table import fingerprint

PLAIN = {
    "kind": Kind.CONV, "count": 1, "in_channels": 64, "out_channels": 64, "kernel": 9,
    "stride": 1, "groups": 1, "in_px": 128**2, "out_px": 128**2,
}  # fmt: skip


def program(*ops: dict[str, int]) -> OpTable:
    """One program whose ops are 3x3 convolutions of 64 channels, except for the given fields."""
    rows = [PLAIN | op for op in ops]
    columns = {name: np.array([row[name] for row in rows]) for name in COLUMNS[1:]}
    return OpTable(program=np.zeros(len(rows), dtype=np.int64), programs=1, **columns)


@pytest.fixture(scope="module")
def shipped() -> Placement:
    return placement.load()


def test_plain_convolutions_are_safe(shipped: Placement) -> None:
    upwards = {"kind": Kind.TRANSPOSED_CONV, "kernel": 4, "stride": 2, "out_px": 256**2}
    risk = shipped.assess(program({}, {}, {"kernel": 25}, upwards))
    assert risk.probability[0] < FLAG / 2
    assert risk.reasons == ((),)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (
            {"kernel": 17**2, "groups": 64},
            "op 2, depthwise convolution of 17 x 17 taps, 64 to 64 channels, 16384 positions: "
            "wider than 13",
        ),
        (
            {"in_channels": 70_000},
            "70000 to 64 channels, 16384 positions: more than 65536 channels",
        ),
        ({"out_px": 40_000**2}, "longer than 16384 on a side"),
        ({"kind": Kind.RESIZE, "out_px": 512**2, "kernel": 1}, "enlarged more than twice"),
        ({"kind": Kind.POOL, "kernel": 15**2}, "pooled over a window wider than 13"),
        ({"kind": Kind.POOL, "out_px": 32**2}, "pooled with a stride over 2"),
    ],
)
def test_ops_beyond_a_limit_are_named(shipped: Placement, op: dict[str, int], reason: str) -> None:
    risk = shipped.assess(program({}, op))
    assert risk.probability[0] >= 0.25
    assert len(risk.reasons[0]) == 1
    assert reason in risk.reasons[0][0]


@pytest.mark.parametrize(
    "op",
    [
        {"kernel": 13**2, "groups": 64},
        {"kernel": 14**2, "stride": 14, "out_px": 81},
        {"kernel": 17**2, "count": 0},
        {"kind": Kind.POOL, "kernel": 128**2, "out_px": 1},
        {"kind": Kind.POOL, "in_px": 49, "out_px": 9},
        {"kind": Kind.RESIZE, "in_px": 9, "out_px": 49, "kernel": 1},
    ],
)
def test_ops_within_the_limits_are_not_named(shipped: Placement, op: dict[str, int]) -> None:
    assert shipped.probability(program({}, op))[0] < FLAG


def test_features_by_hand() -> None:
    move = {"kind": Kind.MOVE, "kernel": 1}
    table = program(
        {"in_px": 100, "out_px": 100, "count": 2},
        move | {"out_channels": 128},
        {"kind": Kind.ELEMENTWISE, "in_px": 101, "out_px": 100},
        move | {"count": 0},
    )
    found = dict(zip(FEATURES, features(table)[0].tolist(), strict=True))
    light = found.pop("light")
    assert {name for name, has in found.items() if has} == {"regroups", "gates"}
    assert 10**-light * placement.LIGHT_MACS == pytest.approx(2 * 9 * 64 * 64 * 100 / 4)


def test_traits_give_reasons_with_their_evidence(shipped: Placement) -> None:
    move = {"kind": Kind.MOVE, "out_channels": 128, "in_px": 49, "out_px": 49}
    reasons = shipped.assess(program(move, {"in_px": 49, "out_px": 49})).reasons[0]
    fallbacks, runs = shipped.evidence["regroups"]
    assert reasons[0] == (
        "concatenations or slices, 1 times: "
        f"{fallbacks} of {runs} published runs with such ops fell back"
    )
    assert "0.9 million MACs per op" in reasons[1]


def test_no_trait_makes_a_program_safer(
    shipped: Placement, random_programs: Callable[..., OpTable]
) -> None:
    assert min(shipped.weights.values()) >= 0
    tables = random_programs(300)
    probability = shipped.probability(tables)
    assert ((probability > 0) & (probability < 1)).all()
    assert shipped.assess(tables).probability.tolist() == probability.tolist()


def test_command_line_form(shipped: Placement) -> None:
    answer = shipped.assess(program({"kernel": 17**2})).as_dict()
    assert json.loads(json.dumps(answer)) == answer
    assert answer["flagged"] is True
    assert answer["probability"] == 0.9


def test_known_fall_backs_stand_above_plain_networks(shipped: Placement) -> None:
    rows = placement_fit.training_rows()
    known = lowered.load()
    names = {"ghostnetv3_100", "mobilenetv3_large_075"}
    plain = {"resnet50", "vgg16", "mobilenetv1_100", "mobileone_s1"}

    def mean(wanted: set[str]) -> float:
        networks = [n for n in rows["network"] if n.name in wanted and n in known]
        return float(shipped.probability(concatenate([known[n] for n in networks])).mean())

    assert mean(names) > 3 * mean(plain)


@pytest.fixture(scope="module")
def refitted() -> Placement:
    rows = placement_fit.training_rows()
    tables, failed = lowered.lower_all(rows["network"], lowered.load())
    assert not failed
    return placement_fit.fit(rows, tables)


@pytest.mark.slow
def test_shipped_model_was_fitted_to_the_shipped_rows(
    shipped: Placement, refitted: Placement
) -> None:
    assert shipped.calibration_sha256 == fingerprint(placement_fit.training_rows())
    assert shipped.weights == pytest.approx(refitted.weights, abs=1e-3)
    assert shipped.scores["auc"] == pytest.approx(refitted.scores["auc"], abs=0.01)


def test_training_rows_hold_both_labels_of_the_same_network() -> None:
    rows = placement_fit.training_rows()
    same = rows[rows["network"] == NetworkSpec("mobilenetv3_large_100", 224, 224)]
    assert set(same["use"]) == {"fallback", "calibrate"}


def test_logistic_agrees_with_scikit_learn_where_no_bound_is_met() -> None:
    generator = np.random.default_rng(0)
    design = generator.random((400, 3))
    chance = 1 / (1 + np.exp(2 - design @ [3.0, 2.0, 1.0]))
    fell_back = (generator.random(400) < chance).astype(float)
    intercept, weights = placement_fit._logistic(design, fell_back)
    reference = LogisticRegression(C=1 / placement_fit.PENALTY, tol=1e-8).fit(design, fell_back)
    np.testing.assert_allclose(weights, reference.coef_[0], atol=1e-3)
    assert intercept == pytest.approx(reference.intercept_[0], abs=1e-3)


def test_saved_model_loads_as_it_was(shipped: Placement, tmp_path: Path) -> None:
    placement.save(shipped, tmp_path / "placement.json")
    assert placement.load(tmp_path / "placement.json") == shipped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("[]", "cannot read"),
        (json.dumps({"format": 99, "weights": {}}), "format 99 .* this version reads 1"),
        (json.dumps({"format": 1, "weights": dict.fromkeys(FEATURES, 0)}), "is incomplete"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "placement.json"
    path.write_text(text)
    with pytest.raises(ArtefactError, match=message):
        placement.load(path)


def test_assessing_needs_no_learning_library() -> None:
    code = (
        "import sys; from latency_predictor.placement.placement import load; load(); "
        "sys.exit(bool({'sklearn', 'scipy', 'pandas', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
