import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from search.data.photographs import Crops, load_photographs
from search.promotion.recipe import Recipe, RecipePhase
from search.training.batches import to_tensor
from search.training.full import FullTraining, TrainingData
from search.training.learning_rates import optimiser
from search.training.losses import objective
from search.training.start import initialisation_of
from search.training.update import Update, synchronised
from space.codec.codec import Codec
from space.search_space import SearchSpace

RECIPE = Recipe(batch=1, perceptual=RecipePhase(steps=3, loss={"psnr": 1.0}, gan=1e-3))


def connect(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )


def crops_of(photographs: str) -> Crops:
    return load_photographs(photographs, 100, train_crops=8, select_crops=2).train


def initialised(space: SearchSpace, crops: Crops) -> Codec:
    torch.manual_seed(0)
    codec = initialisation_of(crops).start(space.reference)
    return codec.to(memory_format=torch.channels_last)


def member(rank: int, space: SearchSpace, photographs: str, folder: str) -> None:
    """Two steps, a kill, and one step more, as one of two processes."""
    connect(rank, folder)
    crops = crops_of(photographs)
    checkpoint = Path(folder, "checkpoint.safetensors")

    def begun() -> FullTraining:
        codec = initialised(space, crops)
        return FullTraining(codec, RECIPE, TrainingData(crops, None), seed=3)

    training = begun()
    for _ in range(2):
        training.advance()
    if rank == 0:
        training.save(checkpoint, {})
    distributed.barrier()
    resumed = begun()
    resumed.resume(checkpoint, {})
    for one in (training, resumed):
        one.advance()
        weights = torch.cat([w.flatten() for w in one.codec.state_dict().values()])
        name = f"{'whole' if one is training else 'resumed'}{rank}.npy"
        np.save(Path(folder, name), weights.numpy())
    np.save(Path(folder, f"losses{rank}.npy"), [losses[0] for losses in training.curve])
    distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_that_train_together_stay_one_model(
    tiny: SearchSpace, photographs: Path, tmp_path: Path
) -> None:
    arguments = (tiny, os.fspath(photographs), os.fspath(tmp_path))
    multiprocessing.spawn(member, arguments, nprocs=2)
    whole = np.load(tmp_path / "whole0.npy")
    for name in ("whole1", "resumed0", "resumed1"):
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), whole, err_msg=name)
    # Each has crops of its own.
    first, second = (np.load(tmp_path / f"losses{rank}.npy") for rank in range(2))
    assert (first != second).all()


def one_step(space: SearchSpace, crops: Crops, ranks: Iterable[int]) -> Tensor:
    """The weights after a step on the mean loss of processes whose part this one computes."""
    codec = initialised(space, crops).train()
    model, named = synchronised(codec), list(codec.named_parameters())
    update = Update(optimiser(named, RECIPE, False), [weight for _, weight in named])
    update.backward(losses(model, crops, list(ranks)), step=0)
    update.apply(1.0)
    return torch.cat([weight.detach().flatten() for _, weight in named])


def losses(model: nn.Module, crops: Crops, ranks: list[int]) -> Iterator[Tensor]:
    """Each process has a crop, a quality level and noise of its own."""
    for rank in ranks:
        torch.manual_seed(rank)
        image, level = to_tensor(crops[rank : rank + 1], torch.device("cpu")), torch.tensor([rank])
        yield objective(model(image, level.float()), image, level, {"psnr": 1.0}) / len(ranks)


def stepper(rank: int, space: SearchSpace, photographs: str, folder: str) -> None:
    """One step, as one of two processes."""
    connect(rank, folder)
    np.save(Path(folder, f"{rank}.npy"), one_step(space, crops_of(photographs), [rank]).numpy())
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_step_as_one_does_with_the_mean_gradient(
    tiny: SearchSpace, photographs: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    arguments = (tiny, os.fspath(photographs), os.fspath(tmp_path))
    multiprocessing.spawn(stepper, arguments, nprocs=2)
    crops = crops_of(os.fspath(photographs))
    together, alone = (one_step(tiny, crops, ranks).numpy() for ranks in ([0, 1], [0]))
    for rank in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f"{rank}.npy"), together)
    assert (together != alone).any()
