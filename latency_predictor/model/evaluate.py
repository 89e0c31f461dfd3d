"""Score a model on profile rows without refitting it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from latency_predictor.interface import LatencyModel
from latency_predictor.model.metrics import score, score_by
from latency_predictor.profiles import lowered
from latency_predictor.profiles.row_filters import CALIBRATE
from latency_predictor.profiles.rows import usable_rows

NO_CALIBRATION = "device without calibration"
NO_NETWORK = "network cannot be rebuilt"


def evaluate(model: LatencyModel, rows: pd.DataFrame, known: lowered.Lowered) -> dict[str, Any]:
    """Score a model on rows that `read_rows` returned.

    Networks that are not in `known` are traced. The result has the scores `overall`, `per_device`
    and `per_source`, and `not_scored`, the number of rows left out for each reason.
    """
    filtered = zip(rows["use"], rows["why"], strict=True)
    reasons = Counter(f"{use}: {why}" for use, why in filtered if use != CALIBRATE)
    scored = usable_rows(rows)
    has_device = scored["device"].isin(model.devices)
    reasons[NO_CALIBRATION] += int((~has_device).sum())
    scored = scored[has_device]
    tables, _ = lowered.lower_all(scored["network"], known)
    has_network = scored["network"].isin(tables)
    reasons[NO_NETWORK] += int((~has_network).sum())
    scored = scored[has_network]
    predictions = [
        model.predict(tables[network], device)
        for network, device in zip(scored["network"], scored["device"], strict=True)
    ]
    arrays = (
        np.array([p.ms[0] for p in predictions]),
        scored["ms"].to_numpy(float),
        np.array([p.low_ms[0] for p in predictions]),
        np.array([p.high_ms[0] for p in predictions]),
    )
    return {
        "overall": score(*arrays),
        "per_device": score_by(scored["device"], *arrays),
        "per_source": score_by(scored["source"], *arrays),
        "not_scored": {reason: count for reason, count in sorted(reasons.items()) if count},
    }
