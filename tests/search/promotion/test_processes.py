import os
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from search.promotion.loop import _mean_over_processes


def member(rank: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    weights = [torch.zeros(3, requires_grad=True), torch.zeros(2, requires_grad=True)]
    weights[0].grad = torch.full((3,), 1.0 + rank)
    _mean_over_processes(weights)
    assert weights[0].grad.tolist() == [1.5, 1.5, 1.5]
    assert weights[1].grad is None
    Path(folder, str(rank)).touch()
    distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_that_train_together_take_the_mean_gradient(tmp_path: Path) -> None:
    multiprocessing.spawn(member, (os.fspath(tmp_path),), nprocs=2)
    assert (tmp_path / "0").exists()
    assert (tmp_path / "1").exists()
