"""Objectives of a search: their names in the configuration, and their columns in tables of trials.

All objectives are minimised. They are BD-rates, which are measured, and costs, which are predicted
for every candidate before any training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from search.config.schema import Config, ConfigError, Mode, SearchConfig

BD_RATE = "bd_rate_percent"
"""Column of the BD-rate by `search.metric`, which every evaluated trial has."""
PAIR = (BD_RATE, "decode_ms")
"""Columns of the default objectives."""
COSTS: Mapping[str, str] = MappingProxyType({
    "decode_ms": "decode time",
    "decode_low_ms": "lower end of the decode time",
    "decode_high_ms": "upper end of the decode time",
    "decode_total_ms": "decode time end to end",
    "encode_ms": "encode time",
    "encode_low_ms": "lower end of the encode time",
    "encode_high_ms": "upper end of the encode time",
    "encode_total_ms": "encode time end to end",
    "kmac_per_px": "decoder kMAC/px",
    "encoder_kmac_per_px": "encoder kMAC/px",
    "parameters_m": "decoder parameters (M)",
    "encoder_parameters_m": "encoder parameters (M)",
    "peak_mb": "decoder peak memory (MB)",
    "encoder_peak_mb": "encoder peak memory (MB)",
    "size_mb": "decoder size on disk (MB)",
    "encoder_size_mb": "encoder size on disk (MB)",
})  # fmt: skip
"""Columns of the costs that can be objectives, with their names for people. They are all times and
sizes that `search.costs.costs.costs` predicts."""


def bd_rate_column(metric: str) -> str:
    """Column of the BD-rate by a metric, whether or not it is `search.metric`."""
    return f"bd_rate_{metric}_percent"


def costs_first(columns: Iterable[str]) -> list[str]:
    """The columns of objectives, predicted costs before BD-rates, each kind in the given order."""
    return sorted(columns, key=lambda column: column not in COSTS)


def find_objectives(config: Config) -> tuple[str, ...]:
    """Columns of the objectives of a run, in order.

    Raises ConfigError if `search.objectives` is not a list of two or more distinct objectives with
    a BD-rate among them, or if it does not fit `search.mode` or `proxy.rungs`.
    """
    search = config.search
    if search.mode is Mode.band:
        if tuple(search.objectives) != SearchConfig.objectives:
            raise _refusal(
                search, "expected only beside search.mode=pareto, not with search.mode=band"
            )
        return (BD_RATE,)
    columns = [_column(name, config) for name in search.objectives]
    if len(columns) < 2:
        raise _refusal(search, f"expected two or more of {_accepted(config)}")
    for column in columns:
        same = [n for n, c in zip(search.objectives, columns, strict=True) if c == column]
        if len(same) > 1:
            raise _refusal(
                search, f"expected distinct objectives, but {' and '.join(same)} are the same"
            )
    if all(column in COSTS for column in columns):
        raise _refusal(search, f"expected a BD-rate among them, such as {_bd_rates(config)[0]}")
    if config.proxy.rungs and [column for column in columns if column not in COSTS] != [BD_RATE]:
        raise ConfigError(
            f"proxy.rungs={list(config.proxy.rungs)}: expected a single BD-rate in "
            f"search.objectives beside it, that by search.metric={search.metric}, not "
            f"{_written(search)}"
        )
    return tuple(columns)


def selecting_metrics(config: Config) -> tuple[str, ...]:
    """`search.metric`, and the metrics of other BD-rates that the run minimises."""
    columns = find_objectives(config)
    others = (metric for metric in config.proxy.metrics if bd_rate_column(metric) in columns)
    return (config.search.metric, *others)


def _column(name: str, config: Config) -> str:
    """The column of the objective with this name in the configuration. Raises ConfigError."""
    if name in COSTS:
        return name
    if name not in _bd_rates(config):
        raise _refusal(
            config.search, f"'{name}' is no objective; expected some of {_accepted(config)}"
        )
    metric = name.removeprefix("bd_rate").removeprefix("_")
    return BD_RATE if metric in ("", config.search.metric) else bd_rate_column(metric)


def _bd_rates(config: Config) -> list[str]:
    """Names of the BD-rates in the configuration."""
    return ["bd_rate", *(f"bd_rate_{metric}" for metric in config.proxy.metrics)]


def _accepted(config: Config) -> str:
    return ", ".join([*_bd_rates(config), *COSTS])


def _written(search: SearchConfig) -> str:
    return f"[{','.join(map(str, search.objectives))}]"


def _refusal(search: SearchConfig, why: str) -> ConfigError:
    return ConfigError(f"search.objectives={_written(search)}: {why}")
