"""Sentences of a run's page: the facts of the run, and how to read what the page shows."""

from __future__ import annotations

from collections.abc import Iterator

from search.report.columns import plain_label
from search.study.front import to_measure
from search.study.goal import Band
from search.study.records import Overview, RunRecord, evaluated

PINS = (
    "A bar is a chain of residual blocks at one stride: as high as it has channels (ch), with a "
    "stripe for each block. A block widens its channels E times by a 3x3 convolution, and maps "
    "them to F times as many by 1x1 convolutions."
)
CROPS = (
    "All codings of a crop have the same number of bytes, as nearly as their quality settings "
    "allow. File headers are not counted, and the bytes of learned codecs are estimates. At 1x, "
    "one pixel of the picture is one pixel of the screen. The key f flips, and + and - zoom."
)
CLASSICAL = (
    "JPEG, WebP and AVIF were measured on the same crops, without file headers (4:2:0, WebP at "
    "method 6, AVIF at speed 6). The dotted lines of the first chart are their BD-rates against "
    "the reference; an arrow stands for a line that is far from all candidates."
)
PROGRESS = "Hours are those since the first evaluation ended, without pauses between continuations."
MATTERED = (
    "Partial dependence is the surrogate's mean BD-rate over the evaluated architectures if one "
    "parameter is set to a value; bars are standard deviations of its forecasts. Importance is the "
    "share of an objective's variance that a random forest explains by a parameter (Optuna's mean "
    "decrease in impurity)."
)
TABLES = (
    "The run's folder has tables for pandas: front.csv (the best), trials.parquet and "
    "screen.parquet."
)


def facts(state: Overview, record: RunRecord) -> list[str]:
    """Sentences on the space, the data and the outcome of a run."""
    counts = [f"{len(evaluated(state.trials)):,} evaluated"]
    stopped = int(state.trials["stopped_at"].notna().sum())
    counts += [f"{stopped} stopped early"] if record.rungs else []
    counts += [f"{int(state.trials['error'].notna().sum())} failed", state.standing]
    space = (
        f"{record.name}: space {record.space} of {record.space_size:,} architectures, "
        f"{record.screened:,} screened for {record.device}, {record.feasible:,} within "
        f"{record.goal.limits}. "
        f"{', '.join(counts)}. {_data(record)}Seed {record.seed}."
    )
    return [space]


def _data(record: RunRecord) -> str:
    if record.table:
        return f"Scores were looked up in the table {record.table}. "
    skipped = [
        (record.unreadable, "unreadable"),
        (record.transparent, "transparent"),
        (record.small, "too small"),
    ]
    left = [f"{len(names)} {why}" for names, why in skipped if names]
    return f"{record.photographs} photographs{f' ({chr(44).join(left)} skipped)' if left else ''}. "


def notes(state: Overview, record: RunRecord) -> list[str]:
    """How to read the chart of candidates."""
    return [" ".join(_reading(record)), " ".join(_caveats(state, record))]


def _reading(record: RunRecord) -> Iterator[str]:
    yield f"Each point is a codec, {_scored(record)}."
    yield (
        f"Points further down need fewer bits at equal {plain_label(record.metric)}, relative to "
        "the reference architecture, which was scored in the same way."
    )
    if isinstance(record.goal, Band):
        yield (
            f"All candidates are predicted to decode in {record.goal}; differences in time within "
            "it are ignored."
        )
    if record.rungs:
        steps = ", ".join(map(str, record.rungs))
        yield (
            f"Hollow points were stopped early: they were measured after {steps} steps and are "
            "drawn at their forecast BD-rate."
        )
    yield "Treat the best as a shortlist, since full training may order them differently."
    if record.fidelity:
        yield record.fidelity
    elif not record.table and not record.supernet:
        yield (
            "Without longer training, scores mostly show the effect of a codec's widths, and "
            "little of what its blocks would learn."
        )


def _scored(record: RunRecord) -> str:
    """How candidates were scored, as a participle phrase."""
    if record.table:
        return f"looked up in the table {record.table} at {record.steps} steps of training"
    if record.steps:
        start = "its slice of a trained supernet" if record.supernet else "its PCA initialisation"
        return f"trained for {record.steps} steps from {start} and measured on held-out photographs"
    start = (
        "as a slice of a trained supernet"
        if record.supernet
        else "untrained, with its PCA initialisation"
    )
    return f"measured on held-out photographs {start}"


def _caveats(state: Overview, record: RunRecord) -> Iterator[str]:
    yield (
        "Decode and encode times are predictions for the networks alone, with 90 % intervals; no "
        "phone was measured. End-to-end times include entropy coding at the speed of a server's "
        "CPU, which codes one tile while the networks of another run."
    )
    unlike = int(to_measure(state.best).sum())
    if unlike:
        yield (
            f"{unlike} of the {record.goal.noun}'s {len(state.best)} decoders are unlike the "
            "networks on which the predictor was calibrated and checked. Do not trust their times "
            "before they are measured."
        )
