"""The probability that Core ML does not run a program on the Neural Engine, with reasons.

A fall-back is a run that leaves the Neural Engine. It takes five to twenty times as long as a run
that stays there, and Core ML gives no message. A predicted time is therefore valid only for a run
that stays. The probability has two sources. Some limits of the hardware are documented and can be
checked on an op list. Apart from them, Core ML decides by unpublished rules that differ between
releases: on the same phone, one laboratory measured 11.4 ms for a MobileNetV3 and another 0.76 ms.
For these rules, `placement_fit` fits a logistic model of a few traits to the few published
fall-backs. The model's probabilities are moderate because the evidence is small; see
`Placement.scores`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.checksum import (
    REMEDY,
    ChecksumError,
    check_listed,
    json_bytes,
    read_json,
)
from latency_predictor.model.artefact import ArtefactError
from latency_predictor.ops import Kind, OpTable
from latency_predictor.writing import write_whole

RULES_FORMAT = 1
SHIPPED_RULES = Path(__file__).parents[1] / "artefact" / "placement.json"

FLAG = 0.05
"""Probability of a fall-back from which a program should be measured before its predicted time is
trusted. This threshold is low because missing a fall-back costs far more than a measurement. In
families that the fit did not see, it flags three quarters of the fall-backs and two fifths of the
runs that stayed (`Placement.scores`)."""

OpMask = Callable[[OpTable], NDArray[np.bool_]]

_CONVS = (Kind.CONV, Kind.TRANSPOSED_CONV)


def _width(table: OpTable) -> NDArray[np.float64]:
    """Lower bound of the longer side of each op's window, exact for square windows."""
    return np.asarray(np.ceil(np.sqrt(table.kernel)))


def _wide_conv(table: OpTable) -> NDArray[np.bool_]:
    # Windows that do not overlap amount to a reshape and a 1x1 convolution: the 14x14 patches of
    # ViT-L/14 ran at the Neural Engine's speed (MobileCLIP paper, iPhone 12 Pro Max).
    overlapping = table.stride < _width(table)
    return np.isin(table.kind, _CONVS) & (_width(table) > 13) & overlapping


def _pools(table: OpTable) -> NDArray[np.bool_]:
    """Pooling ops, except those to one position, which are means without such limits."""
    return (table.kind == Kind.POOL) & (table.out_px > 1)


def _scaled(larger: NDArray[np.int64], smaller: NDArray[np.int64]) -> NDArray[np.float64]:
    """Factor between two sides, rounded down because pooling 7 positions by 2 leaves 3."""
    return np.asarray(np.floor(np.sqrt(larger / smaller)))


_GUIDE = "Bryngelson, Apple Neural Engine guide, arXiv 2606.22283, CC BY 4.0, chapters 4 and 17"
_HOLLANCE = "hollance/neural-engine, docs/unsupported-layers.md (MIT): a guess, for old systems"
DOCUMENTED, _GUESSED = 0.9, 0.25
"""Probability of a fall-back if a documented or a guessed limit is exceeded. Both are judgements,
because no network in the training data exceeds a limit. EdgeViT, which pools with a stride of 4,
took 1.4 to 2.7 times as long as predicted from its ops, in four tables. More than 32 MB of weights
in one op are not a limit: they stream slowly, but ten of ten runs of such networks stayed on the
Neural Engine."""


@dataclass(frozen=True)
class Limit:
    """A hardware limit. `exceeded` selects the ops of a table that exceed the limit.

    `probability` is the probability of a fall-back if a program has such an op. The reason that is
    reported describes the op, followed by the limit's `description` and, as the reference, its
    `source`.
    """

    description: str
    source: str
    probability: float
    exceeded: OpMask


LIMITS = (
    Limit(
        "wider than 13", _GUIDE + ": fp16 on A14 and M1, 15 from A17 Pro", DOCUMENTED, _wide_conv
    ),
    Limit(
        "longer than 16384 on a side",
        _GUIDE + ": 65536 from A17 Pro",
        DOCUMENTED,
        lambda t: np.maximum(t.in_px, t.out_px) > 2 * 16384**2,
    ),
    Limit(
        "more than 65536 channels",
        _GUIDE,
        DOCUMENTED,
        lambda t: np.maximum(t.in_channels, t.out_channels) > 65536,
    ),
    Limit(
        "pooled over a window wider than 13",
        _HOLLANCE,
        _GUESSED,
        lambda t: _pools(t) & (_width(t) > 13),
    ),
    Limit(
        "pooled with a stride over 2",
        _HOLLANCE,
        _GUESSED,
        lambda t: _pools(t) & (_scaled(t.in_px, t.out_px) > 2),
    ),
    Limit(
        "enlarged more than twice",
        _HOLLANCE,
        _GUESSED,
        lambda t: (t.kind == Kind.RESIZE) & (_scaled(t.out_px, t.in_px) > 2),
    ),
)
"""Limits that can be checked on an op list. An op list states numbers of positions, not heights and
widths, and adds the positions of two operands. An op is reported only if it exceeds the limit in
every shape that it may have."""


@dataclass(frozen=True)
class Trait:
    """A trait: a property that is common in networks that fell back.

    `of` selects the ops of a table that have the property.
    """

    name: str
    description: str
    of: OpMask


def _moves(table: OpTable) -> NDArray[np.bool_]:
    return table.kind == Kind.MOVE


def _grouped(table: OpTable) -> NDArray[np.bool_]:
    conv = (table.kind == Kind.CONV) & (table.groups > 1)
    return conv & (table.groups != table.in_channels)


TRAITS = (
    Trait(
        "transposes",
        "transposes or copies, as in a channel shuffle",
        lambda t: _moves(t) & (t.in_channels == t.out_channels),
    ),
    Trait(
        "regroups",
        "concatenations or slices",
        lambda t: _moves(t) & (t.in_channels != t.out_channels),
    ),
    Trait(
        "gates",
        "products with a value per channel, as in squeeze-and-excitation",
        lambda t: (t.kind == Kind.ELEMENTWISE) & (t.out_px > 1) & (t.in_px == t.out_px + 1),
    ),
    Trait("norms", "softmax or norms over channels", lambda t: t.kind == Kind.NORM),
    Trait("products", "products of two activations", lambda t: t.kind == Kind.MATMUL),
    Trait("grouped", "grouped convolutions that are not depthwise", _grouped),
)

LIGHT = "light"
LIGHT_MACS = 1e7
"""Multiply-accumulates per op at which the feature `LIGHT` is 0. Lighter ops increase the
feature."""

FEATURES = (*(trait.name for trait in TRAITS), LIGHT)


def features(table: OpTable) -> NDArray[np.float64]:
    """Traits of each program (0 or 1) and how light its ops are: shape [programs, features].

    The last feature is the log10 of `LIGHT_MACS` over the mean multiply-accumulates per op.
    """
    has = [table.per_program(trait.of(table)) > 0 for trait in TRAITS]
    ops = np.maximum(table.per_program(np.ones(len(table))), 1)
    work = np.maximum(table.per_program(table.macs), 1) / ops
    return np.column_stack([*has, np.log10(LIGHT_MACS / work)])


@dataclass(frozen=True)
class Risk:
    """Probability of a fall-back of each program, from 0 to 1 [programs], and reasons for it."""

    probability: NDArray[np.float64]
    reasons: tuple[tuple[str, ...], ...]

    def as_dict(self, program: int = 0) -> dict[str, Any]:
        """The risk of one program, as the command line prints it."""
        probability = float(self.probability[program])
        return {
            "probability": round(probability, 3),
            "flagged": probability >= FLAG,
            "reasons": list(self.reasons[program]),
        }


@dataclass(frozen=True)
class Placement:
    """A fitted model of fall-backs.

    The model is fitted to published `runs`, of which `fallbacks` left the Neural Engine. `weights`
    holds a logit per feature. `evidence` holds, for each feature, the number of fall-backs and the
    number of runs among networks that have the feature: the trait, or fewer than `LIGHT_MACS` per
    op. `scores` are those of predictions for held-out families (`placement_fit.fit`).
    """

    calibration_sha256: str
    runs: int
    fallbacks: int
    intercept: float
    weights: dict[str, float]
    evidence: dict[str, list[int]]
    scores: dict[str, Any]

    def probability(self, table: OpTable) -> NDArray[np.float64]:
        """Probability that each program leaves the Neural Engine: shape [programs]."""
        weights = np.array([self.weights[name] for name in FEATURES])
        learned = 1 / (1 + np.exp(-(self.intercept + features(table) @ weights)))
        limits = [
            limit.probability * (table.per_program(limit.exceeded(table)) > 0) for limit in LIMITS
        ]
        return np.asarray(np.max([learned, *limits], axis=0))

    def assess(self, table: OpTable) -> Risk:
        """Probability of a fall-back of each program, with reasons.

        The reasons require a Python loop over programs, which `probability` does not need.
        """
        reasons: list[list[str]] = [[] for _ in range(table.programs)]
        for limit in LIMITS:
            for row in np.flatnonzero(limit.exceeded(table) & (table.count > 0)).tolist():
                reasons[table.program[row]].append(
                    f"{_describe(table, row)}: {limit.description} ({limit.source})"
                )
        for trait in TRAITS:
            if self.weights[trait.name] > 0:
                counts = table.per_program(trait.of(table))
                for program in np.flatnonzero(counts).tolist():
                    what = f"{trait.description}, {int(counts[program])} times"
                    reasons[program].append(self.evidence_of(what, trait.name))
        light = features(table)[:, -1]
        for program in np.flatnonzero(light > 0).tolist():
            work = LIGHT_MACS / 10 ** light[program] / 1e6
            reasons[program].append(self.evidence_of(f"{work:.2g} million MACs per op", LIGHT))
        return Risk(self.probability(table), tuple(map(tuple, reasons)))

    def evidence_of(self, what: str, feature: str) -> str:
        """A reason: `what` has the feature, and how often published runs with it fell back."""
        fallbacks, runs = self.evidence[feature]
        below = f"below {LIGHT_MACS / 1e6:.0f}" if feature == LIGHT else "with such ops"
        return f"{what}: {fallbacks} of {runs} published runs {below} fell back"


def _describe(table: OpTable, row: int) -> str:
    """An op in words: `op 12, depthwise convolution of 17 x 17 taps, 64 to 64 channels, ...`."""
    kind = Kind(table.kind[row])
    name = kind.name.lower().replace("_", " ").replace("conv", "convolution")
    inputs, outputs, groups = (
        int(column[row]) for column in (table.in_channels, table.out_channels, table.groups)
    )
    if groups > 1:
        name = f"{'depthwise' if groups == inputs else 'grouped'} {name}"
    taps = int(table.kernel[row])
    side = int(np.sqrt(taps))
    window = f" of {side} x {side} taps" if side**2 == taps else f" of {taps} taps"
    position = row - int(np.flatnonzero(table.program == table.program[row])[0]) + 1
    return (
        f"op {position}, {name}{window if taps > 1 else ''}, {inputs} to {outputs} channels, "
        f"{int(table.out_px[row])} positions"
    )


def save(placement: Placement, path: Path) -> None:
    """Write a placement model to a file, whole or not at all. Raises OSError."""
    write_whole(path, json_bytes({"format": RULES_FORMAT, **asdict(placement)}, indent=1))


def load(path: Path = SHIPPED_RULES) -> Placement:
    """Read a placement model that `save` wrote. Raises `ArtefactError` if it cannot be used."""
    try:
        data = path.read_bytes()
        check_listed(path, data)
        content = read_json(data)
        version = content.pop("format")
    except ChecksumError as error:
        raise ArtefactError(
            f"cannot read placement model {str(path)!r}: {error}; {REMEDY}"
        ) from error
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ArtefactError(f"cannot read placement model {str(path)!r}: {error}") from error
    if version != RULES_FORMAT or set(content.get("weights", ())) != set(FEATURES):
        raise ArtefactError(
            f"placement model {str(path)!r} has format {version!r} with features "
            f"{', '.join(content.get('weights', ()))}; this version reads {RULES_FORMAT} with "
            f"{', '.join(FEATURES)}; recalibrate it with `python -m latency_predictor calibrate`"
        )
    try:
        return Placement(**content)
    except TypeError as error:
        raise ArtefactError(f"placement model {str(path)!r} is incomplete: {error}") from error
