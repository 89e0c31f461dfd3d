"""Row filters: rules that decide whether a measurement may be used, for shipped and new profiles.

- `calibrate`: the model is fitted to the row and scored on it.
- `check`: the row is sound but is no whole network that can be rebuilt here. It is kept for
  comparison.
- `fallback`: the network left the Neural Engine, so that its time does not describe that unit.
- `unfit`: the row is not the time of one Core ML inference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from latency_predictor.devices import CHIPS, slug, unit_of

Row = Mapping[str, str]
Rule = tuple[str, str, Callable[[Row], bool]]

CALIBRATE, CHECK, FALLBACK, UNFIT = USES = ("calibrate", "check", "fallback", "unfit")

UNLIKE_A_MAC = "five times slower per MAC than on a Mac, unit not stated"
DILATED = "dilated convolutions, which op lists do not record"
_DILATED_NETWORKS = "published:(fcn|deeplabv3|lraspp)_"


def _source(*names: str) -> Callable[[Row], bool]:
    return lambda row: row["source"].startswith(names)


def _model(source: str, pattern: str) -> Callable[[Row], bool]:
    return lambda row: row["source"] == source and bool(re.match(pattern, row["model"]))


def _unreadable_latency(row: Row) -> bool:
    try:
        return not 0 < float(row["latency_ms"]) < float("inf")
    except ValueError:
        return True


RULES: tuple[Rule, ...] = (
    (UNFIT, "latency unreadable", _unreadable_latency),
    (UNFIT, "whole app call, not inference", _source("react-native-executorch")),
    (UNFIT, "another runtime than Core ML", _source("coreai-torch")),
    (UNFIT, "camera app: image scaling and post-processing included", _source("tucan9389")),
    (UNFIT, "int8 weights and image scaling included", _source("ultralytics")),
    (UNFIT, "from iterations per second, palettised weights", _source("ml-stable-diffusion")),
    (UNFIT, "older Core ML stack", lambda row: "coreml-performance" in row["compute_unit"]),
    (CHECK, "codec end to end, pipelined with the CPU", _source("PICO")),
    (
        FALLBACK,
        "ten times slower than other sources on the same phone",
        _model("StarNet paper", "MobileNetV3|GhostNet|ShuffleNet|MobileFormer"),
    ),
    (FALLBACK, "ten times slower than its peers", _model("FaceLiVTv2 repo", "KANFace|EdgeFace")),
    (FALLBACK, "ten times slower than its peers", _model("iFormer paper", "MobileViTv2")),
    (
        FALLBACK,
        "five times slower than on the next chip",
        _model("EfficientFormerV2 (Snap)", "MobileViT|MobileFormer"),
    ),
    (CHECK, UNLIKE_A_MAC, _model("ExecuTorch", "EDSR")),
    (UNFIT, "not a Core ML compute unit", lambda row: unit_of(row["compute_unit"]) is None),
    (CHECK, DILATED, lambda row: bool(re.match(_DILATED_NETWORKS, row["timm_name_if_any"]))),
    (CHECK, "not an iPhone", lambda row: slug(row["device"]) not in CHIPS),
    (CHECK, "network cannot be rebuilt", lambda row: not row["timm_name_if_any"]),
    (
        CHECK,
        "input size not stated",
        lambda row: not re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", row["input_res"]),
    ),
)
"""Rules as (use, why, test of a row). The first rule whose test is true gives the row's use. A row
to which no rule applies is `calibrate`."""


def filter_row(row: Row) -> tuple[str, str]:
    """`(use, why)` of a profile row; `why` is empty if `use` is `calibrate`."""
    for use, why, applies in RULES:
        if applies(row):
            return use, why
    return CALIBRATE, ""
