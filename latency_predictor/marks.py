"""Which measurements may be used, and why not: one table of rules for shipped and new profiles.

`calibrate`: the model is fitted to it and scored on it. `check`: sound, but not a whole network
that can be rebuilt here; kept for comparison. `fallback`: the network left the Neural Engine, so
its time says nothing of that unit. `unfit`: not the time of one Core ML inference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from latency_predictor.devices import CHIPS, slug, unit_of

Row = Mapping[str, str]
Rule = tuple[str, str, Callable[[Row], bool]]

CALIBRATE, CHECK, FALLBACK, UNFIT = USES = ("calibrate", "check", "fallback", "unfit")


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
    (UNFIT, "not a Core ML compute unit", lambda row: unit_of(row["compute_unit"]) is None),
    (CHECK, "not an iPhone", lambda row: slug(row["device"]) not in CHIPS),
    (CHECK, "network cannot be rebuilt", lambda row: not row["timm_name_if_any"]),
    (
        CHECK,
        "input size not stated",
        lambda row: not re.fullmatch(r"\d+x\d+", row["input_res"]),
    ),
)
"""The first rule that holds decides; a row that none holds for is `calibrate`."""


def mark(row: Row) -> tuple[str, str]:
    """`(use, why)` of a profile row; `why` is empty where `use` is `calibrate`."""
    for use, why, holds in RULES:
        if holds(row):
            return use, why
    return CALIBRATE, ""
