"""Will Core ML keep a program on the Neural Engine? A probability that it will not, and why.

A program that leaves the Neural Engine takes five to twenty times as long, silently, so a predicted
time holds only while it stays. Two things speak here. Limits of the hardware that an op list can
exceed are documented. Beyond them Core ML decides by rules that nobody has published, differently
in every release: the same MobileNetV3 took 11.4 ms for one laboratory and 0.76 ms for another on
the same phone. What little the published fall-backs show is a logistic model of a few traits
(`placement_fit`), whose probabilities are modest because the evidence is: see its `scores`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.artefact import ArtefactError
from latency_predictor.ops import Kind, OpTable

FORMAT = 1
SHIPPED = Path(__file__).parent / "artefact" / "placement.json"

FLAG = 0.05
"""A probability from which a program should be measured before its predicted time is believed. Low,
because missing a fall-back costs far more than a measurement: it catches three quarters of the
fall-backs in families that the fit did not see, and two fifths of the runs that stayed (`scores`).
"""

Mask = Callable[[OpTable], NDArray[np.bool_]]

_CONVS = (Kind.CONV, Kind.TRANSPOSED_CONV)


def _width(table: OpTable) -> NDArray[np.float64]:
    """Least possible longer side of each op's window: exact where it is square."""
    return np.asarray(np.ceil(np.sqrt(table.kernel)))


def _wide_conv(table: OpTable) -> NDArray[np.bool_]:
    # A window that does not overlap is a reshape and a 1x1 convolution: the 14x14 patches of
    # ViT-L/14 ran at the Neural Engine's speed (MobileCLIP paper, iPhone 12 Pro Max).
    overlapping = table.stride < _width(table)
    return np.isin(table.kind, _CONVS) & (_width(table) > 13) & overlapping


def _pools(table: OpTable) -> NDArray[np.bool_]:
    """Pooling proper; a pool to one position is a mean, which has no such limits."""
    return (table.kind == Kind.POOL) & (table.out_px > 1)


def _scaled(larger: NDArray[np.int64], smaller: NDArray[np.int64]) -> NDArray[np.float64]:
    """Factor between two sides; rounded down, as 7 positions pooled by 2 leave 3."""
    return np.asarray(np.floor(np.sqrt(larger / smaller)))


_GUIDE = "Bryngelson, Apple Neural Engine guide, arXiv 2606.22283, CC BY 4.0, chapters 4 and 17"
_HOLLANCE = "hollance/neural-engine, docs/unsupported-layers.md (MIT): a guess, for old systems"
_DOCUMENTED, _GUESSED = 0.9, 0.25
"""Probability of a fall-back where a limit is exceeded: judgements, for no network of the fit
exceeds one. EdgeViT, which pools with a stride of 4, took 1.4 to 2.7 times what its ops predict, in
four tables. Weights of over 32 MB in one op are no limit here: they stream slowly, but ten of ten
runs of such networks stayed."""


@dataclass(frozen=True)
class Limit:
    """`exceeded` is true of ops that Core ML cannot, or may not, place; `says` ends the reason."""

    says: str
    source: str
    probability: float
    exceeded: Mask


LIMITS = (
    Limit(
        "wider than 13", _GUIDE + ": fp16 on A14 and M1, 15 from A17 Pro", _DOCUMENTED, _wide_conv
    ),
    Limit(
        "longer than 16384 on a side",
        _GUIDE + ": 65536 from A17 Pro",
        _DOCUMENTED,
        lambda t: np.maximum(t.in_px, t.out_px) > 2 * 16384**2,
    ),
    Limit(
        "more than 65536 channels",
        _GUIDE,
        _DOCUMENTED,
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
"""What can be read off an op list. Positions are known, not sides, and pairs of operands count
together: an op is reported only if it must exceed the limit, whatever its shape."""


@dataclass(frozen=True)
class Trait:
    """Something that networks which fell back have, and others too; `of` finds its ops."""

    name: str
    says: str
    of: Mask


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
"""Multiply-accumulates per op at which the feature `LIGHT` is 0; it rises as they fall."""

FEATURES = (*(trait.name for trait in TRAITS), LIGHT)


def features(table: OpTable) -> NDArray[np.float64]:
    """Which traits a program has (0 or 1), and how light its ops are: shape [programs, features].

    The last is the decimal logarithm of `LIGHT_MACS` over the mean multiply-accumulates of an op.
    """
    has = [table.per_program(trait.of(table)) > 0 for trait in TRAITS]
    ops = np.maximum(table.per_program(np.ones(len(table))), 1)
    work = np.maximum(table.per_program(table.macs), 1) / ops
    return np.column_stack([*has, np.log10(LIGHT_MACS / work)])


@dataclass(frozen=True)
class Risk:
    """`probability` of a fall-back, shape [programs], from 0 to 1; `reasons` of each program."""

    probability: NDArray[np.float64]
    reasons: tuple[tuple[str, ...], ...]

    def as_dict(self, program: int = 0) -> dict[str, Any]:
        """What the command line prints of one program."""
        probability = float(self.probability[program])
        return {
            "probability": round(probability, 3),
            "flagged": probability >= FLAG,
            "reasons": list(self.reasons[program]),
        }


@dataclass(frozen=True)
class Placement:
    """A fitted model of fall-backs.

    `weights` are logits per feature, `evidence` the fall-backs and the runs of networks that have
    each trait or are light (under `LIGHT_MACS` per op), `scores` how well held-out families were
    told apart (`placement_fit.fit`).
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
        """Probability and reasons of each program; reasons cost a loop over programs."""
        reasons: list[list[str]] = [[] for _ in range(table.programs)]
        for limit in LIMITS:
            for row in np.flatnonzero(limit.exceeded(table) & (table.count > 0)).tolist():
                reasons[table.program[row]].append(
                    f"{_describe(table, row)}: {limit.says} ({limit.source})"
                )
        for trait in TRAITS:
            if self.weights[trait.name] > 0:
                counts = table.per_program(trait.of(table))
                for program in np.flatnonzero(counts).tolist():
                    what = f"{trait.says}, {int(counts[program])} times"
                    reasons[program].append(self._reason(what, trait.name))
        light = features(table)[:, -1]
        for program in np.flatnonzero(light > 0).tolist():
            work = LIGHT_MACS / 10 ** light[program] / 1e6
            reasons[program].append(self._reason(f"{work:.2g} million MACs per op", LIGHT))
        return Risk(self.probability(table), tuple(map(tuple, reasons)))

    def _reason(self, what: str, feature: str) -> str:
        fallbacks, runs = self.evidence[feature]
        below = f"below {LIGHT_MACS / 1e6:.0f}" if feature == LIGHT else "with such ops"
        return f"{what}: {fallbacks} of {runs} published runs {below} fell back"


def _describe(table: OpTable, row: int) -> str:
    """`op 12, depthwise convolution of 17 x 17 taps, 64 to 64 channels, 4096 positions`."""
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
    """Write the file whole or not at all."""
    text = json.dumps({"format": FORMAT, **asdict(placement)}, indent=1) + "\n"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def load(path: Path = SHIPPED) -> Placement:
    """Read a file that `save` wrote. Raises `ArtefactError`."""
    try:
        content = json.loads(path.read_text())
        version = content.pop("format")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ArtefactError(f"cannot read placement model {str(path)!r}: {error}") from error
    if version != FORMAT or set(content.get("weights", ())) != set(FEATURES):
        raise ArtefactError(
            f"placement model {str(path)!r} is of format {version!r} with features "
            f"{', '.join(content.get('weights', ()))}; this version reads {FORMAT} with "
            f"{', '.join(FEATURES)}; recalibrate it with `python -m latency_predictor calibrate`"
        )
    try:
        return Placement(**content)
    except TypeError as error:
        raise ArtefactError(f"placement model {str(path)!r} is incomplete: {error}") from error
