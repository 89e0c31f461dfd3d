import torch

from space.architecture import Chain
from space.codec.blocks import ConvScale311, CSChain
from space.codec.precision import BRANCH_DTYPES, branches_in, fastest_branch_dtype


def test_branches_are_rounded_inside_the_block_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    chain = CSChain(Chain(8, 1, 2, 2), "relu", levels=2).eval()
    block = chain.blocks[0]
    assert isinstance(block, ConvScale311)
    torch.nn.init.normal_(block.branch[-1].weight, std=0.1, generator=generator)
    x = torch.randn(1, 8, 16, 16, generator=generator)
    plain = block(x)
    with branches_in("bfloat16"):
        rounded = block(x)
        # Weights learn in single precision whatever the branch is multiplied in.
        rounded.sum().backward()
    assert rounded.dtype == torch.float32
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in chain.parameters())
    difference = (rounded - plain).abs().max()
    assert 0 < difference < 0.02 * (plain - x).abs().max()
    with branches_in("float32"):
        assert torch.equal(block(x), plain)
    assert torch.equal(block(x), plain)


def test_the_fastest_precision_is_one_that_branches_can_have() -> None:
    assert fastest_branch_dtype(torch.device("cpu")) in BRANCH_DTYPES
