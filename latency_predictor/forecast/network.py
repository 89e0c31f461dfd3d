"""Prediction of a whole network on one device, op by op."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from latency_predictor.devices import calibration_key
from latency_predictor.interface import LatencyModel, Prediction, feature_sums
from latency_predictor.networks.package_ops import MAX_RANK
from latency_predictor.networks.recorder import NetworkOps
from latency_predictor.ops import Kind
from latency_predictor.placement import placement
from latency_predictor.placement.op_placement import OpPlacement, place_ops

_DIGITS = {"distance": 2}
"""Decimals of a field of a prediction; times have 4."""


@dataclass(frozen=True)
class OpForecast:
    """One op: where it comes from, its predicted time and its size.

    `ms` is its share of the predicted time, `parameters` is without biases. `engine` and `reasons`
    are those of `OpPlacement`, or None and none on a device that is no Neural Engine.
    """

    layer: str
    operator: str
    kind: str
    ms: float
    macs: int
    parameters: int
    read_bytes: int
    written_bytes: int
    engine: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """The forecast for one network.

    `fixed_ms` is the part of the predicted time that belongs to no op. `unknown` counts the
    operators without a rule (see `Source`). `risk` is the probability that the program leaves the
    Neural Engine, with reasons, or None on another device.
    """

    device: str
    prediction: Prediction
    macs: int
    parameters: int
    peak_activation_bytes: int
    fixed_ms: float
    ops: tuple[OpForecast, ...]
    unknown: Counter[str]
    risk: dict[str, Any] | None

    @property
    def costliest(self) -> OpForecast:
        """The op with the largest predicted time."""
        return max(self.ops, key=lambda op: op.ms)

    def times(self) -> dict[str, float]:
        """The fields of the prediction by name, rounded for printing."""
        return {
            name: round(float(value[0]), _DIGITS.get(name, 4))
            for name, value in asdict(self.prediction).items()
        }

    def as_dict(self) -> dict[str, Any]:
        """The forecast as JSON. Names of sizes and times end in the unit."""
        return {
            "device": self.device,
            **self.times(),
            "measure_me": bool(self.prediction.distance[0] > 1),
            "macs_g": round(self.macs / 1e9, 4),
            "parameters_m": round(self.parameters / 1e6, 4),
            "peak_activation_mb": round(self.peak_activation_bytes / 1e6, 4),
            "fixed_ms": round(self.fixed_ms, 4),
            **({} if self.risk is None else {"placement": self.risk}),
            "unknown_operators": dict(self.unknown),
            "costliest": _op_dict(self.costliest),
            "ops": [_op_dict(op) for op in self.ops],
        }


def forecast(network: NetworkOps, model: LatencyModel, device: str) -> Forecast:
    """Predict the time, the sizes and the placement of a network. Raises `UnknownDevice`."""
    table, totals = network.table, network.table.totals()
    prediction = model.predict(table, device)
    op_ms = (model.op_features(table, device)[:, 0] * table.count).tolist()
    placed, risk = _placement(network, device)
    ops = tuple(
        OpForecast(
            layer=source.layer,
            operator=source.operator,
            kind=Kind(table.kind[row]).name.lower(),
            ms=op_ms[row],
            macs=int(table.macs[row]),
            parameters=int(table.weights[row]),
            read_bytes=int(table.in_bytes[row]),
            written_bytes=int(table.out_bytes[row]),
            engine=placed[row].engine if placed else None,
            reasons=placed[row].reasons if placed else (),
        )
        for row, source in enumerate(network.sources)
    )
    return Forecast(
        device=device,
        prediction=prediction,
        macs=int(totals["macs"][0]),
        parameters=int(totals["parameters"][0]),
        peak_activation_bytes=network.peak_activation_bytes(),
        fixed_ms=float(prediction.ms[0]) - sum(op_ms),
        ops=ops,
        unknown=Counter(source.operator for source in network.sources if not source.known),
        risk=risk,
    )


@dataclass(frozen=True)
class Comparison:
    """The time of a network divided by that of another one, with a 90 % interval.

    `faster_probability` is the probability that the first network is the faster one. See
    `latency_predictor.interface.Ratio`.
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    faster_probability: float

    def as_dict(self) -> dict[str, float]:
        """The comparison as JSON, rounded."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def compared(
    network: NetworkOps, other: NetworkOps, model: LatencyModel, device: str
) -> Comparison:
    """Compare the times of two networks on one device. Raises `UnknownDevice`."""
    sums, others = (feature_sums(model, ops.table, device) for ops in (network, other))
    found = model.compare(sums, others, device)
    return Comparison(
        *(float(values[0]) for values in (found.ratio, found.low, found.high, found.faster))
    )


def _placement(network: NetworkOps, device: str) -> tuple[list[OpPlacement], dict[str, Any] | None]:
    """The placement of each op and the risk of the program; nothing if no Neural Engine is used."""
    if not str(calibration_key(device)).endswith("-ane"):
        return [], None
    rules = placement.load()
    risk = rules.assess(network.table).as_dict()
    rank = network.largest_rank
    if rank > MAX_RANK:
        risk["reasons"].append(
            f"a value has {rank} dimensions; the Neural Engine has {MAX_RANK} at most"
        )
    return place_ops(network, rules), risk


def _op_dict(op: OpForecast) -> dict[str, Any]:
    found = {**asdict(op), "ms": round(op.ms, 5), "reasons": list(op.reasons)}
    return {name: value for name, value in found.items() if op.engine or name not in _ENGINE}


_ENGINE = ("engine", "reasons")
"""Fields of an op that only a Neural Engine has."""
