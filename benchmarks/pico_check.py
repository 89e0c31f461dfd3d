"""Predictions beside the few times that PICO (arXiv 2605.05148) publishes. Takes a minute.

    OMP_NUM_THREADS=1 python benchmarks/pico_check.py

PICO searched decoders of 32.7 to 48.0 kMAC/px for 100 ms of network time per 12 megapixels on an
iPhone 16 Pro. One in ten of those that it measured was within 5 % of that time (section 4.3). Its
codec takes 230 ms to encode and 150 ms to decode on an iPhone 17 Pro Max, end to end, with a peak
memory of 38.8 and 25.4 MB. Prints three tables in Markdown: the times of all decoders of
`pico_decoder` in that window, on the Neural Engine of every chip that the model knows; the
end-to-end times of `configs/architecture/pico_paper.yaml`; and its memory. No prediction was fitted
to these figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pandas as pd
import yaml
from spaces import load_space

from latency_predictor import LatencyModel, load_default
from latency_predictor.devices import calibration_key
from search.config.schema import CONFIGS
from search.costs.costs import SpaceCosts, costs_of
from search.report.markdown import markdown_table
from space.architecture import Architecture
from space.search_space import SearchSpace, named_point

KMAC_PER_PX = (32.7, 48.0)
"""The window of decoders."""
NETWORK_MS = {"iphone16pro": 100.0}
"""Published network time of decoders in the window, by phone."""
END_TO_END_MS = {"iphone17promax": {"encode": 230.0, "decode": 150.0}}
"""Published times of the codec, by phone and half."""
PEAK_MB = {"encoder_peak_mb": 38.8, "peak_mb": 25.4}
"""Published peak memory, by the name of the predicted cost."""
TOLERANCE = 0.05
"""Largest relative distance of a time that is close to another."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    model = load_default()
    space = load_space("pico_decoder")
    paper = named_point(yaml.safe_load((CONFIGS / "architecture/pico_paper.yaml").read_text()))
    known = phones(model)
    headers: tuple[str, ...] = (
        "phone", "distance", "decode time of the networks: median", "quartiles", "90 % interval",
        "within 5 % of the median", "published", "median / published", "within 5 % of published",
    )  # fmt: skip
    rows = (window_cells(in_window(space, model, phone), phone) for phone in known)
    print(markdown_table(headers, rows), flush=True)
    headers = ("phone", "", "networks", "90 % interval", "end to end", "published", "ratio")
    rows = (
        cells
        for phone in known
        if phone in END_TO_END_MS
        for cells in end_to_end_cells(paper, model, phone)
    )
    print(f"\n{markdown_table(headers, rows)}")
    costs = costs_of(paper, model, model.devices[0])
    rows = (
        [name, f"{costs[name]:.1f}", str(published), f"{costs[name] / published:.2f}"]
        for name, published in PEAK_MB.items()
    )
    print(f"\n{markdown_table(('', 'peak MB', 'published', 'ratio'), rows)}")


def phones(model: LatencyModel) -> list[str]:
    """One phone per chip whose Neural Engine the model knows, if possible with published times."""
    known = [
        device for device in model.devices if device.startswith("iphone") and "-" not in device
    ]
    published = NETWORK_MS.keys() | END_TO_END_MS.keys()
    by_chip = groupby(known, calibration_key)
    return [min(names, key=lambda name: name not in published) for _, names in by_chip]


def in_window(space: SearchSpace, model: LatencyModel, phone: str) -> pd.DataFrame:
    """Costs of all decoders in the window KMAC_PER_PX."""
    frame = SpaceCosts(space, model, phone).of(np.arange(space.size))
    return frame[frame["kmac_per_px"].between(*KMAC_PER_PX)]


def share_near(ms: pd.Series[float], target: float) -> float:
    """Percentage of times that are within TOLERANCE of a target."""
    return 100 * float((np.abs(ms / target - 1) <= TOLERANCE).mean())


def window_cells(frame: pd.DataFrame, phone: str) -> list[str]:
    """Times of the window's decoders on a phone, beside the published time if there is one."""
    ms = frame["decode_ms"]
    low, median, high = ms.quantile([0.25, 0.5, 0.75])
    middle = frame.iloc[np.abs(ms - median).argmin()]
    cells = [
        phone,
        f"{frame['decode_distance'].median():.1f}",
        f"{median:.0f}",
        f"{low:.0f} to {high:.0f}",
        f"{middle['decode_low_ms']:.0f} to {middle['decode_high_ms']:.0f}",
        f"{share_near(ms, median):.0f} %",
    ]
    published = NETWORK_MS.get(phone)
    if published is None:
        return [*cells, "", "", ""]
    near = f"{share_near(ms, published):.1f} %"
    return [*cells, f"{published:.0f}", f"{median / published:.2f}", near]


def end_to_end_cells(paper: Architecture, model: LatencyModel, phone: str) -> Iterator[list[str]]:
    """Times of both halves of the paper's codec on a phone, beside the published ones."""
    costs = costs_of(paper, model, phone)
    for half, published in END_TO_END_MS[phone].items():
        total_ms = costs[f"{half}_total_ms"]
        yield [
            phone,
            half,
            f"{costs[f'{half}_ms']:.0f}",
            f"{costs[f'{half}_low_ms']:.0f} to {costs[f'{half}_high_ms']:.0f}",
            f"{total_ms:.0f}",
            f"{published:.0f}",
            f"{total_ms / published:.2f}",
        ]


if __name__ == "__main__":
    main()
