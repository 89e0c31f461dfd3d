"""The chart of candidates, for objectives other than BD-rate and decode time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from search.promotion.shortlist import trials_of
from search.report.plots import plot_outcome
from search.study.records import ReferenceRecord, RunRecord

REFERENCE = Path(__file__).parents[3] / "results/reference"
TIMES = {"decode_ms": [10.0, 500.0], "encode_ms": [10.0, 500.0]}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def drawn(objectives: dict[str, list[float] | None]) -> tuple[Figure, pd.DataFrame]:
    """The chart, and the front in it."""
    record = replace(RunRecord.read(REFERENCE), objectives=objectives)
    trials = trials_of(REFERENCE)
    front = record.goal.best(trials[trials["bd_rate_percent"].notna()])
    return plot_outcome(trials, front, record, ReferenceRecord.read(REFERENCE)), front


def test_one_panel_per_pair_of_objectives() -> None:
    figure, front = drawn({"bd_rate_percent": None, **TIMES})
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    decode, encode = (
        f"predicted {half} time, 12 MP on iphone13 (ms)" for half in ("decode", "encode")
    )
    rate = "BD-rate by SSIMULACRA2 (%), lower is better"
    assert labels == [(decode, encode), (decode, rate), (encode, rate)]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "linear"]
    points = np.asarray(figure.axes[2].collections[1].get_offsets())
    assert points == pytest.approx(front[["encode_ms", "bd_rate_percent"]].to_numpy())


def test_the_pair_of_the_default_has_one_panel_in_either_order() -> None:
    for objectives in (
        {"bd_rate_percent": None, "decode_ms": [10.0, 500.0]},
        {"decode_ms": [10.0, 500.0], "bd_rate_percent": None},
    ):
        (axes,) = drawn(objectives)[0].axes
        assert axes.get_title().startswith("reference: ")


def test_two_bd_rates_share_a_panel() -> None:
    figure, _ = drawn({"bd_rate_percent": None, "bd_rate_psnr_percent": None})
    (axes,) = figure.axes
    assert axes.get_xlabel().startswith("BD-rate by SSIMULACRA2")
    assert axes.get_ylabel() == "BD-rate by PSNR (%), lower is better"
    assert axes.get_xscale() == axes.get_yscale() == "linear"
