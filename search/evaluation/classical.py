"""Rate-distortion curves of JPEG, WebP and AVIF on a run's selection crops.

They are measured while candidates are evaluated, so that a report can set the classical codecs
beside the candidates. The file headers of crops are not counted (`search.bench.image_data`), and
neither are those of candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.bench.anchors import anchor
from search.bench.image_data import DATA_BYTES
from search.data.photographs import Crops
from search.metrics import find_metric
from search.metrics.rate_distortion import Curve
from space.pixels import to_batch

QUALITIES: Mapping[str, Sequence[int]] = {
    "jpeg": (15, 35, 60, 86), "webp": (6, 35, 70, 89), "avif": (17, 34, 52, 80)
}  # fmt: skip
"""Quality settings of each codec in rising order, about 0.13 to 1.7 bpp.

With the seven or eight settings of `search.bench.anchors`, BD-rates against the reference of
`pico_large` on twelve shipped crops differ by at most 0.7 percentage points (SSIMULACRA2, MS-SSIM
and PSNR).
"""


def classical_curve(name: str, crops: Crops, metrics: Sequence[str]) -> Curve:
    """Mean bpp and metrics of `crops` at each of the QUALITIES of the codec `name`.

    Means are as in `search.training.validation.measure_curve`. The bpp are those of the image data,
    without file headers. Raises CodecError if the codec cannot run here, and MetricError if a
    metric is not available.
    """
    codec, chosen = anchor(name), [find_metric(metric) for metric in metrics]
    curve: dict[str, list[float]] = {figure: [] for figure in ("bpp", *metrics)}
    for quality in QUALITIES[name]:
        figures: dict[str, list[float]] = {figure: [] for figure in curve}
        for crop in crops:
            pixels = np.ascontiguousarray(crop.transpose(1, 2, 0))
            file = codec.encode(pixels, quality)
            figures["bpp"].append(8 * DATA_BYTES[name](file) / crop[0].size)
            pair = to_batch(pixels), to_batch(codec.decode(file))
            for metric in chosen:
                figures[metric.name].append(metric.quality(metric(*pair).item()))
        for figure, values in figures.items():
            curve[figure].append(float(np.mean(values)))
    return curve


def submit_classical(crops: Crops, metrics: Sequence[str]) -> Any:
    """Start to measure all curves on Ray. Return a Ray reference to the fields of ClassicalRecord.

    The task takes no slot of the candidates, so that none of them waits for it. It runs on the node
    of this process, which surely has this project.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    task = cast("Any", _measure_classical).options(scheduling_strategy=here)
    return task.remote(crops, tuple(metrics))


@ray.remote(num_cpus=0, max_retries=0)
def _measure_classical(crops: Crops, metrics: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    torch.set_num_threads(1)
    codecs = {name: anchor(name) for name in QUALITIES}
    return {
        "settings": {
            codec.title: f"{codec.settings}, qualities {', '.join(map(str, QUALITIES[name]))}"
            for name, codec in codecs.items()
        },
        "curves": {
            codec.title: classical_curve(name, crops, metrics) for name, codec in codecs.items()
        },
    }
