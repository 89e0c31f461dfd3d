"""What a run is configured by: the schema behind `configs/run.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
"""Folder of the shipped configuration."""


class ConfigError(ValueError):
    """A configuration that cannot be run."""


class Sampler(Enum):
    """Samplers by the names users give: ours, and Optuna's."""

    grey_box = "grey_box"
    tpe = "tpe"
    nsga2 = "nsga2"
    gp = "gp"
    random = "random"


class Mode(Enum):
    """What a run looks for, by the names users give; search/goal.py has what they mean."""

    pareto = "pareto"
    band = "band"


@dataclass
class RunConfig:
    """Where a run lives. The same name continues the run."""

    name: str | None = None
    """Folder name below `root`; by default the space's name."""
    root: str = "results"
    seed: int = 0


@dataclass
class DataConfig:
    """Which photographs are trained on and selected by."""

    root: str | None = None
    """Folder of photographs; by default those that scikit-image and scikit-learn carry are trained
    on, and crops of others, which ship with the package, selected by."""
    max_photographs: int = 400
    train_crops: int = 512
    select_crops: int = 24


@dataclass
class ProxyConfig:
    """Budget of one proxy training; every candidate and the reference get the same."""

    steps: int = 0
    """Training steps of a candidate; by default it is measured as the supernet has it."""
    batch: int = 1
    """Crops of 256x256 per step."""
    trunk_rate: float = 5e-5
    """Learning rate of the skeleton's convolutions; this and the next are 3 % of it where a
    supernet has trained the encoder and the entropy model, which then stay as they are."""
    branch_rate: float = 1e-3
    """Learning rate of all the rest, for weights that sum over 64 inputs; see
    search/optimisation.py."""
    qualities: tuple[float, ...] = (1.0, 3.0, 5.0, 7.0)
    """Quality levels at which the curve is measured, rising."""
    loss: dict[str, float] = field(default_factory=dict)
    """Weight of each metric in the distortion that is trained on; none means the MSE alone."""
    metrics: tuple[str, ...] = ("ssimulacra2", "ms_ssim", "haarpsi", "ms_gmsd", "psnr")
    """Metrics that every trial records."""
    rungs: tuple[int, ...] = ()
    """Steps, rising and below `steps`, after which a candidate is measured by `search.metric` alone
    and stopped unless it may still join the front."""


@dataclass
class PhaseConfig:
    """A phase of a supernet's training."""

    steps: int = 0
    subnets: int = 1
    """Random subnets that a step trains, each on crops of its own."""
    batch: int = 2
    """Crops of 256x256 per subnet."""
    average: float = 0.999
    """Decay per step of the moving average of weights, which is the supernet."""
    branch_dtype: str | None = None
    """`float32` or `bfloat16`, in which residual branches are trained; by default bfloat16 where
    the hardware multiplies it faster."""


@dataclass
class JointPhase(PhaseConfig):
    """Encoders, entropy models and decoders together."""

    steps: int = 13000
    trunk_rate: float = 5e-4
    """Peak learning rate of the skeleton's convolutions."""
    branch_rate: float = 6e-3
    """Peak learning rate of all the rest; see search/optimisation.py."""
    context_share: float = 0.3
    """Learning rate of the context model, as a fraction of `branch_rate`."""
    last_share: float = 0.4
    """Learning rate of the last weights of residual branches, as a fraction of `branch_rate`."""
    loss: dict[str, float] = field(default_factory=lambda: {"psnr": 0.75, "ssimulacra2": 0.25})
    """Weight of each metric in the distortion."""


@dataclass
class EntropyPhase(PhaseConfig):
    """Entropy models alone, on latents that are computed once: a tenth of the cost per crop."""

    steps: int = 4000
    batch: int = 16
    average: float = 0.995
    lr: float = 2.4e-2
    """Peak learning rate, of weights divided by their inputs; see search/optimisation.py."""
    crops: int = 2000
    """Crops whose latents are kept, in memory: 0.3 MB each."""


@dataclass
class PretrainConfig:
    """How a space's supernet is trained: jointly, then entropy models alone."""

    joint: JointPhase = field(default_factory=JointPhase)
    entropy: EntropyPhase = field(default_factory=EntropyPhase)
    look_every: int = 1000
    """Steps between looks: curves and pictures of three subnets."""


@dataclass
class SearchConfig:
    """What is searched for, by which metric, and how much."""

    mode: Mode = Mode.pareto
    """`pareto` looks for the front of quality and decode time, `band` for the best codec among
    those of one decode time."""
    target_ms: float | None = None
    """Predicted decode time of candidates; with `mode=band` alone."""
    tolerance: float = 0.05
    """What they may differ from it by, as a share of it; with `mode=band` alone."""
    trials: int = 100
    """Candidates to evaluate, the reference among them."""
    start_trials: int = 24
    """The first of them: the reference, the fastest candidate, and changes of the reference in one
    stage, before the sampler takes over."""
    workers: int | None = None
    """Evaluations at a time; by default one per CPU, or per GPU where there are any."""
    metric: str = "ssimulacra2"
    """Metric of the BD-rate that is minimised, one of `proxy.metrics`."""
    screened: int = 1_000_000
    """Architectures of a space of more than 4 million whose costs are predicted at a time; smaller
    spaces are screened whole."""
    tabular: str | None = None
    """Table of `benchmarks/table.py`: scores at `proxy.steps` are looked up, nothing is trained."""
    address: str | None = None
    """Ray cluster to join, such as `auto`; by default one is started here."""


@dataclass
class Limits:
    """A bound per cost; none where null."""

    decode_ms: float | None = None
    encode_ms: float | None = None
    decode_high_ms: float | None = None
    """Upper end of the 90 % interval; for phones that must not be slower."""
    encode_high_ms: float | None = None
    decode_total_ms: float | None = None
    encode_total_ms: float | None = None
    decode_distance: float | None = None
    kmac_per_px: float | None = None
    encoder_kmac_per_px: float | None = None
    parameters_m: float | None = None
    peak_mb: float | None = None
    size_mb: float | None = None


@dataclass
class ConstraintConfig:
    """Costs that candidates must lie between."""

    min: Limits = field(default_factory=Limits)
    max: Limits = field(default_factory=Limits)


@dataclass
class Config:
    """Everything `python -m search run` reads."""

    space: dict[str, Any] = field(default_factory=dict)
    run: RunConfig = field(default_factory=RunConfig)
    device: str = "iphone13"
    latency_model: str | None = None
    """Model file of `python -m latency_predictor calibrate`; the shipped model where none."""
    parent: str | None = None
    """Parent file of `pretrain` that candidates inherit from, or `none` to start from the skeleton;
    by default what was trained for this space, or the shipped one."""
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    data: DataConfig = field(default_factory=DataConfig)
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    sampler: Sampler = Sampler.grey_box
    search: SearchConfig = field(default_factory=SearchConfig)
    constraints: ConstraintConfig = field(default_factory=ConstraintConfig)


ConfigStore.instance().store(name="schema", node=Config)
