"""The predictor against the few times that PICO (arXiv 2605.05148) publishes. Takes a minute.

    OMP_NUM_THREADS=1 python benchmarks/pico_check.py

PICO searched decoders of 32.7 to 48.0 kMAC/px for 100 ms of network time per 12 megapixels on an
iPhone 16 Pro, and one in ten of those that it measured was within 5 % of it (section 4.3). Its
codec takes 230 ms to encode and 150 ms to decode on an iPhone 17 Pro Max, end to end, and has a
peak memory of 38.8 and 25.4 MB. Prints three tables in Markdown: all decoders of `pico_decoder` in
that window, on the Neural Engine of every chip that the model knows; the end-to-end times of
`configs/architecture/pico_paper.yaml`, and its memory. No prediction was fitted to these figures.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pandas as pd
import yaml

from latency_predictor import LatencyModel, load_default
from latency_predictor.devices import calibration_key
from search.config.schema import CONFIGS
from search.costs.costs import SpaceCosts, costs_of
from space.architecture import Architecture
from space.search_space import SearchSpace, named_point

KMAC_PER_PX = (32.7, 48.0)
NETWORK_MS = {"iphone16pro": 100.0}
"""Published network time of decoders in the window, by phone."""
END_TO_END_MS = {"iphone17promax": {"encode": 230.0, "decode": 150.0}}
PEAK_MB = {"encoder_peak_mb": 38.8, "peak_mb": 25.4}
NEAR = 0.05


def main() -> None:
    model = load_default()
    config = yaml.safe_load((CONFIGS / "space/pico_decoder.yaml").read_text())
    space = SearchSpace.from_config(config)
    paper = named_point(yaml.safe_load((CONFIGS / "architecture/pico_paper.yaml").read_text()))
    print(
        "| phone | distance | decoders' ms: median | quartiles | 90 % interval "
        "| within 5 % of the median | published | median / published | within 5 % of published |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for phone in phones(model):
        print(band_row(in_window(space, model, phone), phone), flush=True)
    print("\n| phone | | networks | 90 % interval | end to end | published | ratio |")
    print("|---|---|---|---|---|---|---|")
    for phone in filter(END_TO_END_MS.__contains__, phones(model)):
        print(*end_to_end_rows(paper, model, phone), sep="\n")
    print("\n| | peak MB | published | ratio |\n|---|---|---|---|")
    found = costs_of(paper, model, model.devices[0])
    for name, published in PEAK_MB.items():
        print(f"| {name} | {found[name]:.1f} | {published} | {found[name] / published:.2f} |")


def phones(model: LatencyModel) -> list[str]:
    """One phone per chip whose Neural Engine the model knows, preferably with published times."""
    known = [
        device for device in model.devices if device.startswith("iphone") and "-" not in device
    ]
    published = NETWORK_MS.keys() | END_TO_END_MS.keys()
    by_chip = groupby(known, calibration_key)
    return [min(names, key=lambda name: name not in published) for _, names in by_chip]


def in_window(space: SearchSpace, model: LatencyModel, phone: str) -> pd.DataFrame:
    """Costs of all decoders in PICO's window."""
    frame = SpaceCosts(space, model, phone).of(np.arange(space.size))
    return frame[frame["kmac_per_px"].between(*KMAC_PER_PX)]


def share_near(ms: pd.Series[float], target: float) -> float:
    """Percent of times that are within 5 % of a target."""
    return 100 * float((np.abs(ms / target - 1) <= NEAR).mean())


def band_row(frame: pd.DataFrame, phone: str) -> str:
    """What the window's decoders take on a phone, beside what is published of it."""
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
    if published := NETWORK_MS.get(phone):
        near = f"{share_near(ms, published):.1f} %"
        cells += [f"{published:.0f}", f"{median / published:.2f}", near]
    else:
        cells += ["", "", ""]
    return f"| {' | '.join(cells)} |"


def end_to_end_rows(paper: Architecture, model: LatencyModel, phone: str) -> list[str]:
    """The paper's model on a phone."""
    found = costs_of(paper, model, phone)
    return [
        f"| {phone} | {half} | {found[f'{half}_ms']:.0f} "
        f"| {found[f'{half}_low_ms']:.0f} to {found[f'{half}_high_ms']:.0f} "
        f"| {found[f'{half}_total_ms']:.0f} | {published:.0f} "
        f"| {found[f'{half}_total_ms'] / published:.2f} |"
        for half, published in END_TO_END_MS[phone].items()
    ]


if __name__ == "__main__":
    main()
