"""Fit the model of fall-backs to published runs and score it on held-out families of networks.

A fall-back is a run that leaves the Neural Engine. Each published run has a label: it fell back or
it stayed. The label depends on the software of a laboratory, not on the network alone: the same
ShuffleNetV2 fell back in one table and not in three others. Labels are also biased, because they
are inferred from times. A run counts as a fall-back if it took five to twenty times as long as
comparable runs, such as those of other laboratories or of similar networks. So long a time is
conspicuous for a light network, but not for a heavy one.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from latency_predictor.devices import calibration_key, device_of
from latency_predictor.ops import concatenate
from latency_predictor.placement.placement import FEATURES, FLAG, Placement, features
from latency_predictor.profiles.lowered import Lowered
from latency_predictor.profiles.row_filters import CALIBRATE, FALLBACK
from latency_predictor.profiles.table import (
    SHIPPED_PROFILES,
    fingerprint,
    network_of,
    read_profiles,
)

PENALTY = 3.0
"""Strength of the ridge penalty on the logits of features. It is the best of 1, 3, 10 and 30 on
held-out families."""

_RESAMPLES = 1000
_SEED = 0

Floats = NDArray[np.float64]
DeviationAndWeights = tuple[float, Floats]


def training_rows() -> pd.DataFrame:
    """Shipped profile rows of networks that can be rebuilt, timed with the Neural Engine allowed.

    The column `use` is `fallback` for a run that left the Neural Engine, and `calibrate` for one
    that stayed. The columns `network` and `family` are added. Raises `ProfileError`.
    """
    rows = read_profiles(SHIPPED_PROFILES)
    on_engine = [
        (calibration_key(device_of(phone, unit)) or "").endswith("-ane")
        for phone, unit in zip(rows["device"], rows["compute_unit"], strict=True)
    ]
    known = rows["use"].isin([CALIBRATE, FALLBACK]) & (rows["timm_name_if_any"] != "")
    rows = rows[known & np.array(on_engine)].copy()
    records = cast("list[dict[str, str]]", rows.to_dict("records"))
    networks = [network_of(row) for row in records]
    rows["network"] = pd.Series(networks, index=rows.index, dtype=object)
    rows["family"] = [network.family for network in networks]
    return rows


def fit(rows: pd.DataFrame, tables: Lowered) -> Placement:
    """Fit a model of fall-backs to rows of `training_rows`, and score it on held-out families.

    The networks of all rows must be in `tables`.
    """
    table = concatenate([tables[network] for network in rows["network"]])
    design = features(table)
    fell_back = (rows["use"] == FALLBACK).to_numpy(float)
    families = rows["family"].to_numpy(str)
    intercept, weights = _logistic(design, fell_back)
    held_out = _held_out(design, fell_back, families)
    return Placement(
        calibration_sha256=fingerprint(rows),
        runs=len(rows),
        fallbacks=int(fell_back.sum()),
        intercept=intercept,
        weights=dict(zip(FEATURES, weights.tolist(), strict=True)),
        evidence={
            name: [int(fell_back[has].sum()), int(has.sum())]
            for name, has in zip(FEATURES, design.T > 0, strict=True)
        },
        scores=_scores(fell_back, held_out, families, rows["source"].to_numpy(str)),
    )


def _logistic(design: Floats, fell_back: Floats) -> DeviationAndWeights:
    """Ridge logistic regression with non-negative logits, since no trait makes a network safer."""

    def loss(logits: Floats) -> tuple[float, Floats]:
        z = logits[0] + design @ logits[1:]
        error = 1 / (1 + np.exp(-z)) - fell_back
        value = np.logaddexp(0, z).sum() - fell_back @ z + PENALTY / 2 * (logits[1:] ** 2).sum()
        slope = np.concatenate([[error.sum()], design.T @ error + PENALTY * logits[1:]])
        return float(value), slope

    columns = design.shape[1]
    bounds = [(None, None), *[(0, None)] * columns]
    found = minimize(loss, np.zeros(columns + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    return float(found[0]), found[1:]


def _held_out(design: Floats, fell_back: Floats, families: NDArray[np.str_]) -> Floats:
    """Probability of each row by a model fitted to the other families: shape [rows]."""
    probability = np.empty(len(fell_back))
    for family in np.unique(families):
        here = families == family
        intercept, weights = _logistic(design[~here], fell_back[~here])
        probability[here] = 1 / (1 + np.exp(-(intercept + design[here] @ weights)))
    return probability


def _base_rates(fell_back: Floats, families: NDArray[np.str_]) -> Floats:
    """Probability of each row by a model without features, fitted to the other families."""
    others = [fell_back[families != family] for family in families.tolist()]
    return np.array([(rest.sum() + 0.5) / (len(rest) + 1) for rest in others])


def _scores(
    fell_back: Floats, held_out: Floats, families: NDArray[np.str_], sources: NDArray[np.str_]
) -> dict[str, Any]:
    """Held-out scores, with 90 % intervals by resampling families."""
    generator = np.random.default_rng(_SEED)
    names = np.unique(families)
    aucs, precisions = [], []
    for _ in range(_RESAMPLES):
        drawn = generator.choice(names, len(names))
        rows = np.concatenate([np.flatnonzero(families == name) for name in drawn])
        if 0 < fell_back[rows].sum() < len(rows):
            aucs.append(roc_auc_score(fell_back[rows], held_out[rows]))
            precisions.append(average_precision_score(fell_back[rows], held_out[rows]))
    base = _base_rates(fell_back, families)
    flagged = held_out >= FLAG
    return {
        "protocol": "each family of networks held out",
        "families": len(names),
        "families_that_fell_back": len(np.unique(families[fell_back == 1])),
        "base_rate": round(float(fell_back.mean()), 4),
        "auc": _rounded(roc_auc_score(fell_back, held_out)),
        "auc_interval": _interval(aucs),
        "average_precision": _rounded(average_precision_score(fell_back, held_out)),
        "average_precision_interval": _interval(precisions),
        "log_loss": _rounded(log_loss(fell_back, held_out)),
        "log_loss_of_base_rate": _rounded(log_loss(fell_back, base)),
        "flag": FLAG,
        "flagged_fallbacks": int(flagged[fell_back == 1].sum()),
        "flagged_in_vain": int(flagged[fell_back == 0].sum()),
        "within_source_auc": {
            source: _rounded(roc_auc_score(fell_back[here], held_out[here]))
            for source in np.unique(sources).tolist()
            if 0 < fell_back[here := sources == source].sum() < here.sum()
        },
        "per_family": {
            family: {
                "fallbacks": int(fell_back[here := families == family].sum()),
                "runs": int(here.sum()),
                "mean_probability": _rounded(held_out[here].mean()),
            }
            for family in names.tolist()
        },
    }


def _interval(values: list[float]) -> list[float]:
    return [_rounded(value) for value in np.percentile(values, [5, 95])]


def _rounded(value: float) -> float:
    return round(float(value), 4)
