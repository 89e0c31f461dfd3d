"""The forecast for a network as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from latency_predictor.forecast.network import Comparison, Forecast, OpForecast
from latency_predictor.ops import BYTES_PER_VALUE
from latency_predictor.placement.op_placement import EXPECTED

MOST_OPS = 10
"""Number of the costliest ops that the table shows."""
TOP_LEVEL = "top level"
"""Layer of an op of the outermost module."""


def print_forecast(title: str, found: Forecast, console: Console) -> None:
    """Print totals, the costliest ops, and the ops that may leave the Neural Engine."""
    console.print(title, highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _totals(found):
        table.add_row(name, value)
    console.print(table, soft_wrap=False, highlight=False)
    ranked = sorted(found.ops, key=lambda op: -op.ms)[:MOST_OPS]
    console.print(_table(ranked, found), soft_wrap=False, highlight=False)
    if len(found.ops) > len(ranked):
        others = sum(op.ms for op in found.ops) - sum(op.ms for op in ranked)
        left = f"{len(found.ops) - len(ranked)} other ops take {others:.3f} ms; --json lists them."
        console.print(left, highlight=False)
    for line in (*_placement(found), *_unknown(found)):
        console.print(line, highlight=False)


def print_comparison(other: str, found: Comparison, console: Console) -> None:
    """Print how the network's time compares with that of another one, by name."""
    certainty = max(found.faster_probability, 1 - found.faster_probability)
    share = "more than 99%" if certainty > 0.995 else f"{certainty:.0%}"
    word = "faster" if found.faster_probability >= 0.5 else "slower"
    console.print(
        f"Time by that of {other}: {found.ratio:.3g} (90 % interval {found.ratio_low:.3g} to "
        f"{found.ratio_high:.3g}). It is {word} with a probability of {share}.",
        highlight=False,
    )


def _totals(found: Forecast) -> list[tuple[str, str]]:
    times = found.times()
    far = " (beyond what was checked: measure it)" if times["distance"] > 1 else ""
    costliest = found.costliest
    share = costliest.ms / times["ms"]
    return [
        ("predicted time", f"{times['ms']:.3g} ms{far}"),
        ("90 % interval", f"{times['low_ms']:.3g} to {times['high_ms']:.3g} ms"),
        ("multiply-accumulates", f"{found.macs / 1e6:,.1f} million"),
        ("parameters", f"{found.parameters / 1e6:.3g} million"),
        ("peak of activations", f"{found.peak_activation_bytes / 1e6:.3g} MB in float16"),
        ("fixed time of a run", f"{found.fixed_ms:.3g} ms"),
        ("costliest op", f"{_name(costliest)}: {costliest.ms:.3g} ms, {share:.0%} of the time"),
    ]


def _table(ops: Sequence[OpForecast], found: Forecast) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for header in ("layer", "operator"):
        table.add_column(header, overflow="fold")
    for header in ("ms", "share", "MMACs", "MB moved"):
        table.add_column(header, justify="right", no_wrap=True)
    if found.risk is not None:
        table.add_column("Neural Engine", no_wrap=True)
    total = float(found.prediction.ms[0])
    for op in ops:
        moved = (op.read_bytes + op.written_bytes + op.parameters * BYTES_PER_VALUE) / 1e6
        table.add_row(
            op.layer or TOP_LEVEL,
            op.operator,
            f"{op.ms:.4f}",
            f"{op.ms / total:.1%}",
            f"{op.macs / 1e6:.1f}",
            f"{moved:.2f}",
            *([op.engine] if op.engine else []),
        )
    return table


def _placement(found: Forecast) -> list[str]:
    """Lines on the ops that may leave the Neural Engine. Ops with the same reasons are one line."""
    if found.risk is None:
        return []
    doubtful: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for op in found.ops:
        if op.engine and op.engine != EXPECTED:
            doubtful.setdefault((op.engine, op.reasons), []).append(_name(op))
    stay = sum(op.engine == EXPECTED for op in found.ops)
    advice = ": measure it" if found.risk["flagged"] else ""
    lines = [
        f"Probability that the program leaves the Neural Engine: {found.risk['probability']:.0%}"
        f"{advice}.",
        f"{stay} of {len(found.ops)} ops show no reason to leave it.",
    ]
    for (engine, reasons), names in sorted(doubtful.items()):
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"  {engine}: {names[0]}{others}: {'; '.join(reasons)}")
    about_program = [reason for reason in found.risk["reasons"] if "MACs per op" in reason]
    about_program += [reason for reason in found.risk["reasons"] if "dimensions" in reason]
    lines += [f"  whole program: {reason}" for reason in about_program]
    return lines


def _unknown(found: Forecast) -> list[str]:
    if not found.unknown:
        return []
    names = ", ".join(f"{name} ({count})" for name, count in found.unknown.most_common())
    return [
        f"Operators without a rule: {names}. Each is priced as a move of the values that it reads "
        "and writes, and its arithmetic is not counted."
    ]


def _name(op: OpForecast) -> str:
    return f"{op.layer or TOP_LEVEL} ({op.operator})"
