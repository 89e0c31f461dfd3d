"""How good the latency predictor is, against what it has to beat; prints the tables of latency.md.

    python benchmarks/latency.py > benchmarks/latency.md

Takes about ten minutes on one thread. Three protocols: a random split and held-out families of
networks (ten folds each), and a held-out device, of which 0, 5, 10 or 20 rows are given. All models
see equal data. `benchmarks/local_cpu.jsonl` holds measurements of `local_cpu`: 60 architectures,
spread evenly over predicted time among 4,000 draws. Others are measured by

    python -m latency_predictor kit pico_large --n 60 --random --device local_cpu --out KIT
    python -m latency_predictor profile KIT --out local_cpu.jsonl
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from latency_predictor.model import artefact, calibration, priors, roofline
from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.crossval import (
    Fit,
    Folds,
    folds_at_random,
    folds_by_family,
    held_out,
    intervals,
)
from latency_predictor.model.few_shot import FEWEST, calibrate_device
from latency_predictor.model.interval import NOISE
from latency_predictor.model.metrics import score
from latency_predictor.model.priors import group_of, prior_of
from latency_predictor.model.recalibrate import (
    MODELS,
    calibration_rows,
    fit_rooflines,
    scores,
    unseen_devices,
)
from latency_predictor.model.roofline import CONSTANTS, Cost, cost_of
from latency_predictor.model.suggest import most_informative
from latency_predictor.model.times import Estimate, Fitted, RooflineTimes, Times
from latency_predictor.ops import COLUMNS, OpTable, concatenate
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import Measurements, join
from latency_predictor.profiles.rows import rows_of_device

LOCAL = Path(__file__).parent / "local_cpu.jsonl"
PHONES = {"a14-ane": "iPhone 12", "a15-ane": "iPhone 13, 14"}
DRAWS = 10
GIVEN = (0, 5, 10, 20)
PROTOCOLS = {"held-out family": folds_by_family, "random split": folds_at_random}


def main() -> None:
    warnings.simplefilter("ignore")
    rows, _ = calibration_rows(None)
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    whole = join(rows, tables)
    engines = np.isin(whole.calibration, list(PHONES))
    phones, phone_rows = whole.where(engines), rows[engines]
    folds = {name: split(whole)[engines] for name, split in PROTOCOLS.items()}
    families = folds["held-out family"]
    print("# Latency predictor\n\n`python benchmarks/latency.py`")
    section("Networks on the Neural Engine", split_protocols(phones, folds))
    section("Per source: held-out families, within the source", by_source(phones, families))
    section("512x512 rows", large_inputs(phones, phone_rows, families))
    section(
        "Does the model know what it does not know?", epistemic_std(phones, phone_rows, families)
    )
    section("Label noise", label_noise(phone_rows))
    section("What each term buys: held-out families, within the source", ablations(phones, folds))
    section("A device that was held out", held_out_devices(whole))
    local = join(*rows_of_device(LOCAL, "local_cpu"))
    section("local_cpu: architectures of pico_large, measured here", local_cpu(local))


def section(title: str, lines: Iterable[str]) -> None:
    print(f"\n## {title}\n", flush=True)
    for line in lines:
        print(line, flush=True)


def table_row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def header(*names: str) -> Iterator[str]:
    yield table_row(*names)
    yield "|" + "---|" * len(names)


def shown(found: Mapping[str, Any]) -> list[str]:
    """MAPE, shares within 5 and 10 %, Kendall tau, coverage."""
    shares = [f"{100 * found[key]:.0f} %" for key in ("within_5", "within_10")]
    tau = "" if found["kendall_tau"] is None else f"{found['kendall_tau']:.2f}"
    return [f"{100 * found['mape']:.1f} %", *shares, tau, f"{100 * found['coverage']:.0f} %"]


SCORES = ("MAPE", "±5 %", "±10 %", "tau", "90 % interval covers")


def split_protocols(phones: Measurements, folds: Mapping[str, Folds]) -> Iterator[str]:
    yield from header("protocol", "device", "rows", "model", "laboratory", *SCORES)
    for protocol, split in folds.items():
        found = {name: scores(phones, split, fit) for name, fit in MODELS.items()}
        for key, device in PHONES.items():
            for model, labels in found.items():
                for laboratory in ("pooled", "within_source"):
                    figures = labels[laboratory][key]
                    known = "unknown" if laboratory == "pooled" else "known"
                    yield table_row(protocol, device, figures["n"], model, known, *shown(figures))


def by_source(phones: Measurements, families: Folds) -> Iterator[str]:
    yield from header("device", "source", "rows", *SCORES)
    found = scores(phones, families, fit_rooflines)["by_source"]
    for label, figures in found.items():
        key, source = label.split("/", 1)
        yield table_row(PHONES[key], source, figures["n"], *shown(figures))


def large_inputs(phones: Measurements, rows: pd.DataFrame, families: Folds) -> Iterator[str]:
    large = (rows["input_res"] == "512x512").to_numpy()
    yield from header("model", "rows", "MAPE, family held out", "tau")
    for model, fit in MODELS.items():
        unseen = held_out(phones, families, fit).within_source
        figures = score(*[array[large] for array in (unseen.ms, phones.ms, unseen.ms, unseen.ms)])
        mape, tau = figures["mape"], figures["kendall_tau"]
        yield table_row(model, figures["n"], f"{100 * float(mape or 0):.1f} %", tau)


def epistemic_std(phones: Measurements, rows: pd.DataFrame, families: Folds) -> Iterator[str]:
    """Errors of held-out rows by the epistemic_std that the model states of them beforehand."""
    unseen = held_out(phones, families, fit_rooflines).within_source
    errors = np.abs(unseen.ms / phones.ms - 1)
    yield from header("rows of held-out families", "rows", "stated epistemic_std", "MAPE", "±10 %")
    order = np.argsort(-unseen.epistemic_std)
    tenth = len(order) // 10
    for label, part in (("the tenth known least", order[:tenth]), ("the others", order[tenth:])):
        yield table_row(
            label, len(part), f"{100 * unseen.epistemic_std[part].mean():.0f} %",
            f"{100 * errors[part].mean():.1f} %", f"{100 * (errors[part] <= 0.1).mean():.0f} %",
        )  # fmt: skip
    worst = rows["family"] == "efficientvit"
    here = (phones.calibration == "a15-ane") & ~worst.to_numpy()
    yield (
        f"\nThe {worst.sum()} EfficientViT rows alone have {100 * errors[worst].mean():.0f} %; "
        f"without them the iPhone 13 rows have {100 * errors[here].mean():.1f} %."
    )


def label_noise(rows: pd.DataFrame) -> Iterator[str]:
    """How well one laboratory's figure predicts another's for the same network and chip."""
    errors, ratios = [], []
    for _, same in rows.groupby(["calibration", "network"], sort=False):
        by_source = same.groupby("source")["ms"].mean().to_numpy()
        if len(by_source) > 1:
            ratios.append(by_source.max() / by_source.min())
            for place, ms in enumerate(by_source):
                others = np.delete(by_source, place)
                errors.append(abs(np.exp(np.log(others).mean()) / ms - 1))
    yield (
        f"{len(ratios)} networks were measured by several laboratories on the same chip: median "
        f"ratio {np.median(ratios):.2f}, 90th percentile {np.quantile(ratios, 0.9):.2f}. "
        "Predicting a laboratory's figure by the others' has a MAPE of "
        f"{100 * np.mean(errors):.1f} % and is within 10 % for "
        f"{100 * np.mean(np.array(errors) <= 0.1):.0f} %: no model of the network alone can be "
        "shown to be better."
    )


@contextmanager
def pinned(values: Mapping[str, float]) -> Iterator[None]:
    """Hold constants at these values instead of learning them."""
    places = [CONSTANTS.index(name) for name in values]

    def held(original: Callable[..., NDArray[np.float64]], fixed: Any) -> Callable[..., Any]:
        def changed(*arguments: str) -> NDArray[np.float64]:
            found = original(*arguments)
            found[places] = fixed
            return found

        return changed

    with (
        patch.object(priors, "centre", held(priors.centre, np.log(list(values.values())))),
        patch.object(priors, "common_spread", held(priors.common_spread, 1e-6)),
        patch.object(priors, "deviation_spread", held(priors.deviation_spread, 1e-6)),
    ):
        yield


def constants(prefix: str, value: float) -> dict[str, float]:
    return {name: value for name in CONSTANTS if name.startswith(prefix)}


def ablations(phones: Measurements, folds: Mapping[str, Folds]) -> Iterator[str]:
    families = folds["held-out family"]
    one_rate = constants("rate_", 1)
    without: dict[str, Any] = {
        "everything": nullcontext(),
        "one arithmetic rate for all kinds of op": pinned(one_rate),
        "one bandwidth for all convolutions": pinned(
            {f"stream_{name}": 1 for name in ("pointwise", "conv", "grouped", "depthwise")}
        ),
        "no dispatch per op": pinned({"dispatch_ms": 1e-9}),
        "no saturation with channels and positions": pinned(constants("half_", 1e-6)),
        "no spill out of the working set": pinned({"spill": 1e-9}),
        "weights cost nothing": pinned({"weight_mb_per_ms": 1e9}),
        "a sum instead of a maximum": patch.object(roofline, "SHARPNESS", 1),
        "no offsets of laboratories": patch.object(calibration, "SOURCE_SPREAD", 1e-6),
        "chips not tied to each other": patch.object(priors, "group_of", lambda key: key),
        "chips equal but for absolute constants": patch.object(priors, "_DEVIATION", 1e-3),
    }
    yield from header("variant", *(f"{phone}: {name}" for phone in PHONES.values()
                                   for name in ("MAPE", "±10 %", "tau")))  # fmt: skip
    for name, change in without.items():
        with change:
            yield table_row(name, *ablated(phones, families, fit_rooflines))
    yield table_row("and a learned residual", *ablated(phones, families, fit_with_residual))
    at_random = folds["random split"]
    yield table_row("everything, random split", *ablated(phones, at_random, fit_rooflines))
    yield table_row(
        "and a learned residual, random split", *ablated(phones, at_random, fit_with_residual)
    )


def ablated(phones: Measurements, folds: Folds, fit: Fit) -> Iterator[str]:
    unseen = held_out(phones, folds, fit).within_source
    for key in PHONES:
        here = phones.calibration == key
        found = score(*[array[here] for array in (unseen.ms, phones.ms, unseen.ms, unseen.ms)])
        yield from (shown(found)[0], shown(found)[2], f"{found['kendall_tau']:.3f}")


@dataclass(frozen=True)
class ResidualTimes:
    """A roofline times a factor learned from how programs divide their time over kinds of op."""

    base: RooflineTimes
    process: GaussianProcessRegressor

    def estimate(self, table: OpTable) -> Estimate:
        found = self.base.estimate(table)
        return Estimate(
            found.ms * np.exp(self.process.predict(shares(self.base, table))), found.epistemic_std
        )


def shares(times: RooflineTimes, table: OpTable) -> NDArray[np.float64]:
    """Share of each class of op in a program's time, and its log / 10: [programs, features]."""
    op_ms, classes = times.roofline.op_ms(table), cost_of(table)
    by_class = [table.per_program(op_ms * (classes == cost)) for cost in Cost]
    ms = times.estimate(table).ms
    return np.column_stack([*(part / ms for part in by_class), np.log(ms) / 10])


def fit_with_residual(measurements: Measurements) -> Fitted:
    """A Gaussian process on the residuals of families that the roofline did not see."""
    fitted = fit_rooflines(measurements)
    inner = held_out(measurements, folds_by_family(measurements), fit_rooflines).within_source
    residuals = np.log(measurements.ms / inner.ms)
    found: dict[str, Times] = {}
    for key, times in fitted.times.items():
        here = measurements.calibration == key
        assert isinstance(times, RooflineTimes)
        features = shares(times, measurements.table)[measurements.program[here]]
        kernel = ConstantKernel(0.01, "fixed") * RBF(0.2, "fixed")
        process = GaussianProcessRegressor(kernel, alpha=NOISE**2)
        found[key] = ResidualTimes(times, process.fit(features, residuals[here]))
    return Fitted(found, fitted.offsets)


def held_out_devices(whole: Measurements) -> Iterator[str]:
    """The device's relatives are known; of itself some random rows are given, others predicted."""
    yield (
        f"Medians over {DRAWS} draws of the given rows. Baselines: their fit to the device's "
        "relatives, times one factor fitted to the given rows.\n"
    )
    yield from header("device", "given", "model", "MAPE", "±10 %", "rho", "tau", "covers")
    for target in ("a14-ane", "a15-ane", "a10-cpu", "a13-cpu", "a10-gpu", "a13-gpu"):
        kin = np.array([group_of(key) == group_of(target) for key in whole.calibration])
        own = whole.calibration == target
        yield from transfers(target, whole.where(kin & ~own), whole.where(own), MODELS)


def transfers(
    target: str, kin: Measurements, own: Measurements, models: Mapping[str, Fit]
) -> Iterator[str]:
    before = artefact_of(kin)
    relatives = {name: fit(kin) for name, fit in models.items()}
    for given in GIVEN:
        for model in models:
            draws = 1 if given == 0 else DRAWS
            found = []
            for seed in range(draws):
                taken = np.zeros(len(own), dtype=bool)
                taken[np.random.default_rng(seed).permutation(len(own))[:given]] = True
                seen, unseen = own.where(taken), own.where(~taken)
                if model == "roofline":
                    found.append(adapted(before, target, seen, unseen))
                else:
                    found.append(scaled(relatives[model], seen, unseen))
            mape, within, rho, tau, covers = np.median(found, axis=0)
            covered = f"{100 * covers:.0f} %" if model == "roofline" and given else ""
            yield table_row(
                target, given, model, f"{100 * mape:.1f} %", f"{100 * within:.0f} %",
                f"{rho:.3f}", f"{tau:.2f}", covered,
            )  # fmt: skip


def artefact_of(kin: Measurements) -> artefact.Artefact:
    """What would ship if only these devices had been measured."""
    fitted = fit_calibrations(kin)
    folds = folds_by_family(kin)
    checked = intervals(kin, held_out(kin, folds, fit_rooflines).pooled)
    return artefact.Artefact(
        calibration_sha256="", calibration_rows=len(kin), devices=fitted.devices,
        common=fitted.common, offsets=fitted.offsets, intervals=checked,
        unseen=unseen_devices(kin, checked), cross_validation={},
    )  # fmt: skip


def adapted(
    before: artefact.Artefact, target: str, seen: Measurements, unseen: Measurements
) -> list[float]:
    if len(seen) >= FEWEST:
        after, _ = calibrate_device(before, seen, "")
        times, interval = RooflineTimes(after.devices[target]), after.intervals[target]
    else:
        times = RooflineTimes(prior_of(target, before.common))
        interval = before.unseen.get(group_of(target))
    estimate = times.estimate(unseen.table)
    estimate = Estimate(estimate.ms[unseen.program], estimate.epistemic_std[unseen.program])
    factor = interval.factor(estimate) if interval else np.ones(len(unseen))
    return figures(estimate.ms, unseen.ms, factor)


def scaled(relatives: Fitted, seen: Measurements, unseen: Measurements) -> list[float]:
    """The relatives' mean log prediction, times one factor."""

    def predicted(rows: Measurements) -> NDArray[np.float64]:
        logs = [np.log(times.estimate(rows.table).ms[rows.program])
                for times in relatives.times.values()]  # fmt: skip
        return np.mean(logs, axis=0)

    factor = np.mean(np.log(seen.ms) - predicted(seen)) if len(seen) else 0.0
    return figures(np.exp(predicted(unseen) + factor), unseen.ms, np.ones(len(unseen)))


def figures(ms: NDArray[np.float64], truth: NDArray[np.float64], factor: Any) -> list[float]:
    found = score(ms, truth, ms / factor, ms * factor)
    rho = float(spearmanr(ms, truth).statistic)
    return [
        float(found["mape"] or 0), float(found["within_10"] or 0), rho,
        float(found["kendall_tau"] or 0), float(found["coverage"] or 0),
    ]  # fmt: skip


def local_cpu(local: Measurements) -> Iterator[str]:
    """Encoder and decoder of each architecture; some are given, the others predicted."""
    shipped = artefact.load()
    architectures = np.unique(local.family)
    yield (
        f"{len(architectures)} architectures, {len(local)} programs of "
        f"{local.ms.min():.0f} to {local.ms.max():.0f} ms. `suggested` are those of them that "
        f"`suggest` would have measured; `random` gives medians over {DRAWS} draws.\n"
    )
    yield from header("given", "chosen", "MAPE", "±5 %", "±10 %", "rho", "tau", "covers")
    for given in GIVEN[1:]:
        draws = [np.random.default_rng(seed).permutation(architectures) for seed in range(DRAWS)]
        for chosen, picks in (
            ("suggested", [suggested(shipped, local, given)]),
            ("random", [draw[:given] for draw in draws]),
        ):
            found = []
            for pick in picks:
                taken = np.isin(local.family, pick)
                found.append(local_figures(shipped, local.where(taken), local.where(~taken)))
            yield local_row(given, chosen, found)


def local_row(given: int, chosen: str, found: list[list[float]]) -> str:
    mape, five, ten, rho, tau, covers = np.median(found, axis=0)
    return table_row(
        given, chosen, f"{100 * mape:.1f} %", f"{100 * five:.0f} %", f"{100 * ten:.0f} %",
        f"{rho:.3f}", f"{tau:.2f}", f"{100 * covers:.0f} %",
    )  # fmt: skip


def local_figures(
    shipped: artefact.Artefact, seen: Measurements, unseen: Measurements
) -> list[float]:
    after, _ = calibrate_device(shipped, seen, "")
    predicted = after.model().predict(unseen.table, "local_cpu")
    ms, low, high = (
        array[unseen.program] for array in (predicted.ms, predicted.low_ms, predicted.high_ms)
    )
    found = score(ms, unseen.ms, low, high)
    rho = float(spearmanr(ms, unseen.ms).statistic)
    return [float(found[key] or 0) for key in ("mape", "within_5", "within_10")] + [
        rho, float(found["kendall_tau"] or 0), float(found["coverage"] or 0),
    ]  # fmt: skip


def suggested(shipped: artefact.Artefact, local: Measurements, given: int) -> NDArray[np.str_]:
    """What `suggest` would have measured of these architectures, knowing no time of theirs."""
    architectures = np.unique(local.family)
    of_architecture = [local.program[local.family == name] for name in architectures]
    programs = [select(local.table, column) for column in np.transpose(of_architecture)]
    return architectures[most_informative(shipped.times("local_cpu"), programs, given)]


def select(table: OpTable, programs: Iterable[int]) -> OpTable:
    """A table of these programs of another."""
    parts = []
    for program in programs:
        rows = table.program == program
        columns = {name: getattr(table, name)[rows] for name in COLUMNS if name != "program"}
        parts.append(OpTable(program=np.zeros(rows.sum(), dtype=np.int64), programs=1, **columns))
    return concatenate(parts)


if __name__ == "__main__":
    main()
