import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from search.data.photographs import load_photographs
from search.promotion.recipe import Phase, Recipe
from search.training.full import FullTraining, TrainingData
from search.training.proxy import initialisation_of
from space.search_space import SearchSpace

RECIPE = Recipe(batch=1, perceptual=Phase(steps=3, loss={"psnr": 1.0}, gan=1e-3))


def member(rank: int, space: SearchSpace, photographs: str, folder: str) -> None:
    """Two steps, a kill, and one step more, as one of two processes."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    crops = load_photographs(photographs, 100, train_crops=8, select_crops=2).train
    checkpoint = Path(folder, "checkpoint.safetensors")

    def begun() -> FullTraining:
        torch.manual_seed(0)
        codec = (
            initialisation_of(crops).start(space.reference).to(memory_format=torch.channels_last)
        )
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
