"""Configuration schema of a run, behind `configs/run.yaml`.

The bounds of a number are part of its type; `search.config.bounds` checks them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from hydra.core.config_store import ConfigStore
from pydantic import Field

from latency_predictor.devices import DEFAULT_DEVICE
from latency_predictor.errors import UserError

Natural = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
PhotographCount = Annotated[int, Field(ge=2)]
"""A number of photographs: at least one to train on and one to select candidates by."""
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""A random seed. The upper bound is that of torch's generators."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Minutes = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
"""Folder of the shipped configuration files."""


class ConfigError(UserError):
    """The configuration is invalid."""


class Sampler(Enum):
    """Samplers by their names in the configuration: `grey_box` is ours, the others are Optuna's."""

    grey_box = "grey_box"
    tpe = "tpe"
    nsga2 = "nsga2"
    gp = "gp"
    random = "random"


class Mode(Enum):
    """Goal of a run, by its name in the configuration; see search/study/goal.py."""

    pareto = "pareto"
    band = "band"


@dataclass
class RunConfig:
    """Name and place of a run. Using the same name again continues the run."""

    name: str | None = None
    """Folder name below `root`; by default the name of the space."""
    root: str = "results"
    """Folder that holds all runs."""
    seed: Seed = 0
    """Seed of all random draws."""


@dataclass
class DataConfig:
    """Photographs for training and for selection."""

    root: str | None = None
    """Folder of photographs. By default, training uses the photographs included in scikit-image and
    scikit-learn, and selection uses crops of other photographs that ship with this package."""
    max_photographs: PhotographCount = 400
    """Largest number of photographs used from `root`."""
    train_crops: Count = 512
    """Largest number of crops for training."""
    select_crops: Count = 24
    """Largest number of held-out crops on which candidates are measured."""


@dataclass
class ProxyConfig:
    """Budget of the proxy task: the short training and measurement that compare candidates.

    It is the same for every candidate and the reference.
    """

    steps: Natural = 0
    """Training steps per candidate. With 0, a candidate is measured as a slice of the supernet."""
    batch: Count = 1
    """Crops of 256x256 per step."""
    trunk_lr: NonNegative = 5e-5
    """Learning rate of the convolutions that the initialisation fills. If a supernet has trained
    the encoder and the entropy model, these two are frozen, and `trunk_lr` and `branch_lr` are
    reduced to 3 % of their values."""
    branch_lr: NonNegative = 1e-3
    """Learning rate of all other weights. The value is that of a weight that sums over 64 inputs;
    see search/training/learning_rates.py for other numbers of inputs."""
    qualities: tuple[float, ...] = (1.0, 3.0, 5.0, 7.0)
    """Quality levels at which the rate-distortion curve is measured, in increasing order."""
    loss: dict[str, float] = field(default_factory=dict)
    """Weight of each metric in the training distortion; if empty, the MSE alone is used."""
    metrics: tuple[str, ...] = ("ssimulacra2", "ms_ssim", "haarpsi", "ms_gmsd", "psnr")
    """Metrics recorded for every trial."""
    rungs: tuple[int, ...] = ()
    """Steps below `steps`, in increasing order, after which a candidate is measured by
    `search.metric` alone and stopped unless it may still join the front."""


@dataclass
class PhaseConfig:
    """One phase of supernet training."""

    steps: Natural = 0
    """Training steps of the phase."""
    subnets: Count = 1
    """Random subnets trained per step, each on its own crops."""
    batch: Count = 2
    """Crops of 256x256 per subnet."""
    average: Decay = 0.999
    """Decay per step of the moving average of the weights. The averaged weights are the result."""
    branch_dtype: str | None = None
    """Precision in which residual branches are trained, `float32` or `bfloat16`. The default is
    bfloat16 if the hardware multiplies it faster than float32."""


@dataclass
class JointPhase(PhaseConfig):
    """Joint training of encoders, entropy models and decoders."""

    steps: Natural = 13000
    trunk_lr: NonNegative = 5e-4
    """Peak learning rate of the convolutions that the initialisation fills."""
    branch_lr: NonNegative = 6e-3
    """Peak learning rate of all other weights; see search/training/learning_rates.py."""
    context_share: NonNegative = 0.3
    """Learning rate of the context model, as a fraction of `branch_lr`."""
    last_share: NonNegative = 0.4
    """Learning rate of the last layer of residual branches, as a fraction of `branch_lr`."""
    loss: dict[str, float] = field(default_factory=lambda: {"psnr": 0.75, "ssimulacra2": 0.25})
    """Weight of each metric in the distortion."""


@dataclass
class EntropyPhase(PhaseConfig):
    """Training of entropy models alone, on latents that are computed once.

    It costs a tenth of joint training per crop.
    """

    steps: Natural = 4000
    batch: Count = 16
    average: Decay = 0.995
    lr: NonNegative = 2.4e-2
    """Peak learning rate of a weight that sums over 64 inputs; see
    search/training/learning_rates.py for other numbers of inputs."""
    crops: Count = 2000
    """Number of crops whose latents are kept in memory, 0.3 MB each."""


@dataclass
class PretrainConfig:
    """Training of a supernet: a joint phase, then a phase for the entropy models alone."""

    joint: JointPhase = field(default_factory=JointPhase)
    entropy: EntropyPhase = field(default_factory=EntropyPhase)
    validate_every: Count = 1000
    """Steps between validations, which measure curves and save pictures of three subnets."""


@dataclass
class SearchConfig:
    """Goal, metric and budget of the search."""

    mode: Mode = Mode.pareto
    """`pareto` searches for the front of the `objectives`, `band` for the best codec near one
    decode time."""
    target_ms: float | None = None
    """Predicted decode time of candidates, in ms; used only with `mode=band`."""
    tolerance: float = 0.05
    """Largest relative deviation from `target_ms`; used only with `mode=band`."""
    trials: Count = 100
    """Number of candidates to evaluate, including the reference."""
    start_trials: Natural = 24
    """Number of trials before the sampler takes over: the reference, the fastest candidate, and
    variants of the reference that differ in one stage."""
    workers: Count | None = None
    """Number of parallel evaluations; by default one per GPU, or one per CPU if there is none."""
    trial_minutes: Minutes | None = None
    """Longest time in minutes of one evaluation, or of its part up to a rung, after which it fails.
    By default ten times the longest one so far, and at least 10 minutes."""
    metric: str = "ssimulacra2"
    """Metric of the BD-rate that is minimised, one of `proxy.metrics`."""
    objectives: tuple[str, ...] = ("bd_rate", "decode_ms")
    """Objectives to minimise with `mode=pareto`: at least two of `bd_rate` (by `metric`),
    `bd_rate_` followed by one of `proxy.metrics`, and predicted times and sizes such as `encode_ms`
    and `size_mb` (`COSTS` in search/study/objectives.py lists them). One must be a BD-rate."""
    screened: Count = 1_000_000
    """Number of architectures whose costs are predicted at a time if the space has more than
    4 million; smaller spaces are screened whole."""
    tabular: str | None = None
    """Table written by `benchmarks/table.py`. Scores at `proxy.steps` are read from it instead of
    training candidates."""
    storage: str | None = None
    """URL of a database that holds the study, `postgresql://USER@HOST/DATABASE` or
    `mysql://USER@HOST/DATABASE`; by default the study is a journal in the run's folder. The
    password comes from `PGPASSWORD` or `~/.pgpass`, or from `MYSQL_PWD`. A URL that contains one
    comes from a variable, as `${oc.env:NAME}`; the password is used by this process alone."""
    address: str | None = None
    """Address of a Ray cluster to join, such as `auto`; by default a local one is started."""


@dataclass
class Limits:
    """One bound per predicted cost; null means unbounded.

    Suffixes give the unit: `_ms` milliseconds, `_mb` megabytes, `_m` millions.
    """

    decode_ms: float | None = None
    """Time of the decoder's network for 12 megapixels, in ms."""
    encode_ms: float | None = None
    """Time of the encoder's network for 12 megapixels, in ms."""
    decode_high_ms: float | None = None
    """Upper end of the 90 % interval of the decode time. Bound it if a phone should hardly ever
    decode more slowly than the bound."""
    encode_high_ms: float | None = None
    """Upper end of the 90 % interval of the encode time."""
    decode_total_ms: float | None = None
    """Decode time end to end, with entropy coding on the CPU."""
    encode_total_ms: float | None = None
    """Encode time end to end, with entropy coding on the CPU. If no encode time is bounded, at most
    230 ms, which is PICO's time, or that of the reference if it is longer."""
    decode_distance: float | None = None
    """Distance of the decoder from the measurements of the latency model; above 1, measure it."""
    kmac_per_px: float | None = None
    """Thousands of multiply-accumulates of the decoder per pixel."""
    encoder_kmac_per_px: float | None = None
    """Thousands of multiply-accumulates of the encoder per pixel."""
    parameters_m: float | None = None
    """Parameters of the decoder."""
    peak_mb: float | None = None
    """Peak memory of the decoder's weights and activations."""
    size_mb: float | None = None
    """Size of the decoder on disk."""


@dataclass
class ConstraintConfig:
    """Lower and upper bounds on the predicted costs of candidates."""

    min: Limits = field(default_factory=Limits)
    max: Limits = field(default_factory=Limits)


@dataclass
class Config:
    """Complete configuration of `python -m search run` and `python -m search pretrain`."""

    space: dict[str, Any] = field(default_factory=dict)
    """Value sets of all parameters, which `+space=NAME` takes from a file in `configs/space`."""
    run: RunConfig = field(default_factory=RunConfig)
    device: str = DEFAULT_DEVICE
    """Phone whose times are predicted; a suffix `-gpu` or `-cpu` selects that unit instead of the
    Neural Engine."""
    latency_model: str | None = None
    """Model file written by `python -m latency_predictor calibrate`; by default the shipped one."""
    supernet: str | None = None
    """Supernet file written by `pretrain`, or `none` to start candidates from the initialisation.
    By default the supernet trained for this space is used, or else the shipped one."""
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    data: DataConfig = field(default_factory=DataConfig)
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    sampler: Sampler = Sampler.grey_box
    """Sampler that proposes candidates: `grey_box` is ours, the others are Optuna's."""
    search: SearchConfig = field(default_factory=SearchConfig)
    constraints: ConstraintConfig = field(default_factory=ConstraintConfig)


ConfigStore.instance().store(name="schema", node=Config)
