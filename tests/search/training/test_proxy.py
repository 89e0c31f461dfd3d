import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.optim.swa_utils import AveragedModel

from search.config.schema import CONFIGS, ProxyConfig
from search.data.photographs import CROP, Crops, Photographs, load_photographs
from search.training.batches import to_tensor
from search.training.losses import objective
from search.training.proxy import (
    AVERAGED,
    ProxyTraining,
    Score,
    begin,
    late_average,
    score_training,
)
from search.training.update import TrainingDiverged
from search.training.validation import measure_curve
from space.architecture import LEVELS, Architecture
from space.codec.codec import RATE_WEIGHTS, SYNTHESIS, Codec
from space.codec.initialisation import Initialisation, fit_initialisation, start_from
from space.search_space import SearchSpace


@pytest.fixture(scope="module")
def data(photographs: Path) -> Photographs:
    return load_photographs(str(photographs), 100, train_crops=16, select_crops=2)


@pytest.fixture(scope="module")
def initialisation(data: Photographs) -> Initialisation:
    return fit_initialisation(to_tensor(data.train, torch.device("cpu")))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def scored(
    architecture: Architecture,
    data: Photographs,
    start: Initialisation,
    config: ProxyConfig,
    seed: int = 0,
) -> Score:
    training = begin(architecture, start, config, seed)
    asked = (config.qualities, config.metrics, config.steps)
    return score_training(training, data.train, data.select, *asked)


def test_a_trial_ends_with_a_working_codec(
    tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    score = scored(tiny.reference, data, initialisation, ProxyConfig(steps=3))
    assert set(score.curve) == {"bpp", *ProxyConfig.metrics}
    for values in score.curve.values():
        assert (np.diff(values) > 0).all()
    assert [sample.pixels.shape for sample in score.samples] == [(CROP, CROP, 3)] * 2


def test_the_smallest_real_space_reaches_26_db_at_the_middle_rate() -> None:
    small = yaml.safe_load((CONFIGS / "space/pico_small.yaml").read_text())
    data = load_photographs(None, 100, train_crops=32, select_crops=6)
    initialisation = fit_initialisation(to_tensor(data.train, torch.device("cpu")))
    reference = SearchSpace.from_config(small).reference
    score = scored(reference, data, initialisation, ProxyConfig(steps=2))
    assert score.curve["psnr"][2] >= 26
    assert score.curve["bpp"][2] < 1.5


def test_equal_seeds_give_equal_scores_bit_for_bit(
    tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    config = ProxyConfig(steps=3, qualities=(3.0, 6.0))
    curves = [
        scored(tiny.reference, data, initialisation, config, seed).curve for seed in (1, 1, 2)
    ]
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


@torch.no_grad()
def mean_objective(codec: Codec, crops: Crops) -> float:
    """Mean of bpp + lambda * MSE over all levels, weighted as in training."""
    codec.eval()
    images = to_tensor(crops, torch.device("cpu"))
    total = 0.0
    for level, weight in enumerate(RATE_WEIGHTS):
        coded = codec(images, torch.full((len(images),), float(level)))
        error = (coded.image - images).square().mean()
        total += float((coded.bits.mean() / images[0, 0].numel() + weight * error) / weight.sqrt())
    return total / LEVELS


@pytest.mark.slow
def test_training_lowers_its_objective(
    tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    codec = start_from(Codec(tiny.reference), initialisation)
    before = mean_objective(codec, data.train)
    training = ProxyTraining(codec, False, ProxyConfig(), seed=0)
    for _ in range(150):
        training.advance(data.train)
    assert mean_objective(training.codec, data.train) < before


def test_bpp_is_the_entropy_models(
    tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    codec = start_from(Codec(tiny.reference), initialisation)
    curve = measure_curve(codec, data.select, (3.0, 6.0), ("psnr",))
    original = to_tensor(data.select, torch.device("cpu"))
    with torch.no_grad():
        bits = codec(original, torch.full((2,), 3.0)).bits
    assert curve["bpp"][0] == pytest.approx(bits.mean().item() / 256**2, rel=1e-4)


def test_a_training_that_diverges_keeps_its_weights(
    tiny: SearchSpace,
    data: Photographs,
    initialisation: Initialisation,
    spoil: Callable[[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec = start_from(Codec(tiny.reference), initialisation)
    training = ProxyTraining(codec, False, ProxyConfig(), seed=0)
    training.advance(data.train)
    before = copy.deepcopy((codec.state_dict(), training.codec.state_dict()))
    updates: list[object] = []
    hook = register_optimizer_step_pre_hook(lambda *of: updates.append(of))
    monkeypatch.setattr("search.training.proxy.objective", lambda *of: spoil(objective(*of)))
    with pytest.raises(TrainingDiverged, match=r"at step 1: .*(inf|nan)"):
        training.advance(data.train)
    hook.remove()
    assert training.step == 1
    assert not updates
    after = (codec.state_dict(), training.codec.state_dict())
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_measuring_on_the_way_changes_nothing(
    tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    def curve(measured: set[int]) -> object:
        training = ProxyTraining(initialisation.start(tiny.reference), False, ProxyConfig(), 0)
        for step in range(3):
            if step in measured:
                measure_curve(training.codec, data.select, (3.0, 6.0), ("psnr",))
            training.advance(data.train)
        return measure_curve(training.codec, data.select, (3.0, 6.0), ("psnr",))

    torch.manual_seed(0)
    straight = curve(set())
    torch.manual_seed(0)
    assert curve({1, 2}) == straight


@pytest.mark.parametrize("synthesis_only", [False, True])
def test_a_training_that_goes_on_elsewhere_ends_as_if_it_had_stayed(
    synthesis_only: bool, tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    def begun() -> ProxyTraining:
        torch.manual_seed(0)
        return ProxyTraining(initialisation.start(tiny.reference), synthesis_only, ProxyConfig(), 0)

    asked = (data.train, data.select, (3.0, 6.0), ("psnr",))
    straight = score_training(begun(), *asked, 4)
    training = begun()
    for steps in (0, 2):
        assert score_training(training, *asked, steps).steps == steps
        # A worker has its own.
        training = copy.deepcopy(training)
        torch.manual_seed(steps + 1)
    assert score_training(training, *asked, 4).curve == straight.curve


def test_what_is_frozen_stays_and_so_do_the_bits(
    tiny: SearchSpace, data: Photographs, initialisation: Initialisation
) -> None:
    codec = initialisation.start(tiny.reference)
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    curve = measure_curve(codec, data.select, (3.0, 6.0), ("psnr",))
    training = ProxyTraining(codec, True, ProxyConfig(), seed=0)
    for _ in range(3):
        training.advance(data.train)
    moved = [
        name
        for name, value in training.codec.state_dict().items()
        if not torch.equal(value, before[name])
    ]
    assert moved
    assert all(name.startswith(SYNTHESIS) for name in moved)
    after = measure_curve(training.codec, data.select, (3.0, 6.0), ("psnr",))
    assert after["bpp"] == curve["bpp"]


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_averages_of_a_ramp_are_those_of_polynomial_decay(steps: int) -> None:
    """The weights of 1, 2, ..., n average to ((eta + 1) n + 1) / (eta + 2)."""
    model = nn.Linear(1, 1, bias=False)
    averaged = AveragedModel(model, avg_fn=late_average)
    for step in range(1, steps + 1):
        nn.init.constant_(model.weight, step)
        averaged.update_parameters(model)
    expected = ((AVERAGED + 1) * steps + 1) / (AVERAGED + 2)
    assert averaged.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(model.weight, torch.tensor([[float(steps)]]))
