"""Slices of a parent, against codecs that are built and started on their own."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from space.architecture import CHOICES, Chain
from space.blocks import ConvScale, ScaledWeight
from space.context import split
from space.parent import INT8, Parent, ParentError
from space.search_space import SearchSpace, extreme
from space.skeleton import fit_skeleton

CHAIN = {"C": [16, 24], "R": [0, 1, 2], "E": [1, 2], "F": [1, 3]}
POINT = {"C": 16, "R": 1, "E": 1, "F": 1}


@cache
def space() -> SearchSpace:
    """Small widths, and every choice there is."""
    choices = {name: list(values) for name, values in CHOICES.items()}
    return SearchSpace.from_config(
        {
            "name": "small",
            "encoder": dict.fromkeys(("4", "8", "16"), CHAIN),
            "decoder": dict.fromkeys(("16", "8", "4"), CHAIN),
            "latent_channels": [16, 24],
            "hyper_channels": [12, 16],
            **choices,
            "reference": {
                "encoder": dict.fromkeys(("4", "8", "16"), POINT),
                "decoder": dict.fromkeys(("16", "8", "4"), POINT),
                "latent_channels": 16,
                "hyper_channels": 12,
                **{name: values[0] for name, values in CHOICES.items()},
            },
        }
    )


@cache
def untrained() -> Parent:
    generator = torch.Generator().manual_seed(0)
    return Parent.begin(space(), fit_skeleton(torch.rand(8, 3, 64, 64, generator=generator)))


@cache
def trained() -> Parent:
    """Every weight away from its start, as training leaves it."""
    generator = torch.Generator().manual_seed(1)
    parent = Parent.begin(space(), untrained().skeleton)
    for name, weight in parent.trainable().items():
        near = 0.05 * torch.randn(weight.shape, generator=generator)
        parent.weights[name] = weight + near
    return parent


def image() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


QUALITY = torch.tensor([4.0])
numbers = st.integers(0, space().size - 1)


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_children_of_an_untrained_parent_are_the_skeletons(number: int) -> None:
    architecture = space().architecture(number)
    child = untrained().start(architecture).eval()
    alone = untrained().skeleton.start(architecture).eval()
    with torch.no_grad():
        inherited, expected = child(image(), QUALITY), alone(image(), QUALITY)
    torch.testing.assert_close(inherited.image, expected.image)
    # The hyper-latent starts with bands of the latent, which depend on both their widths.
    if (architecture.latent_channels, architecture.hyper_channels) == (24, 16):
        torch.testing.assert_close(inherited.bits, expected.bits)


@settings(max_examples=40, deadline=None)
@given(numbers)
def test_a_child_codes_as_the_parent_trains_it(number: int) -> None:
    architecture = replace(space().architecture(number), scales="learned")
    child = trained().start(architecture).train()
    with torch.no_grad():
        torch.manual_seed(0)
        alone = child(image(), QUALITY)
        torch.manual_seed(0)
        within = trained().code(architecture, image(), QUALITY)
    torch.testing.assert_close(within.image, alone.image)
    torch.testing.assert_close(within.bits, alone.bits)


@settings(max_examples=20, deadline=None)
@given(numbers)
def test_without_scales_a_child_has_them_in_its_weights(number: int) -> None:
    architecture = space().architecture(number)
    with_scales, without = (
        trained().start(replace(architecture, scales=scales)) for scales in ("learned", "none")
    )
    for scaled, plain in zip(with_scales.modules(), without.modules(), strict=True):
        if isinstance(scaled, ScaledWeight) and isinstance(plain, ScaledWeight):
            torch.testing.assert_close(plain.weight, scaled.folded_weight())
            assert (plain.scale_in == 1).all()
            assert (plain.scale_out == 1).all()
        if isinstance(scaled, ConvScale) and isinstance(plain, ConvScale):
            torch.testing.assert_close(plain.bias, scaled.folded_bias())


def test_every_weight_is_of_use_to_some_child() -> None:
    parent = Parent.begin(space(), untrained().skeleton)
    weights = parent.trainable()
    for weight in weights.values():
        weight.requires_grad_(True)
    # The largest child of every pair of choices that a module depends on.
    for resampling, context, scale_path in (
        ("haar", "none", "uint8"),
        ("pixel_shuffle", "checkerboard", "linear"),
        ("conv", "grid", "uint8"),
        ("haar", "channels", "linear"),
    ):
        widest = extreme(space(), space().reference, max)
        choices = {"resampling": resampling, "context": context, "scale_path": scale_path}
        coded = parent.code(replace(widest, **choices), image(), QUALITY)
        (coded.image.sum() + coded.bits.sum()).backward()
    assert [name for name, weight in weights.items() if weight.grad is None] == []


def test_narrow_children_read_the_first_channels() -> None:
    smallest = extreme(space(), space().reference, min)
    narrow = replace(smallest, decoder=(Chain(16, 1, 1, 1),) * 3)
    slices, weights = trained().slices(narrow), trained().weights
    name = "decoder.synthesis.chains.0.blocks.0.branch.0.weight"
    assert torch.equal(slices[name], weights[name][:16, :16])
    # Values and magnitudes of the latent stand in two halves, four subbands to a channel.
    name = "analysis.hyper.down.conv.weight"
    first, second = weights[name][:12].split(4 * 24, dim=1)
    assert torch.equal(slices[name], torch.cat([first[:, :64], second[:, :64]], dim=1))


@pytest.mark.parametrize("pattern", ["grid", "checkerboard"])
def test_the_context_of_narrow_latents_reads_the_same_channels_of_the_same_phases(
    pattern: str,
) -> None:
    def entries(latent: int) -> list[Tensor]:
        """Of every group, channel and phase of each of its entries, as channel + phase / 10."""
        phases = torch.tensor([[0.0, 0.1], [0.2, 0.3]])
        labels = torch.arange(latent)[None, :, None, None] + phases
        return [group[0, :, 0, 0] for group in split(labels, pattern)]

    parent = Parent(space().parameters, dict(trained().weights), trained().skeleton)
    wide, narrow = entries(24), entries(16)
    for step in range(1, len(wide)):
        name = f"decoder.context.decoded.{step - 1}.weight"
        outputs, inputs = wide[step], torch.cat(wide[:step])
        labelled = (outputs[:, None] * 100 + inputs)[..., None, None].expand(-1, -1, 3, 3)
        parent.weights[f"{name}@{pattern}"] = labelled
        small = extreme(space(), space().reference, min)
        sliced = parent.slices(replace(small, context=pattern))[name][:, :, 0, 0]
        outputs, inputs = narrow[step], torch.cat(narrow[:step])
        assert torch.equal(sliced, outputs[:, None] * 100 + inputs)


def test_a_saved_parent_is_read_in_half_precision_and_branches_in_eight_bits(
    tmp_path: Path,
) -> None:
    trained().save(tmp_path / "p.safetensors", {"steps": 3})
    read = Parent.load(tmp_path / "p.safetensors")
    assert read.values == trained().values
    for name, weight in trained().trainable().items():
        if weight.dim() == 4 and any(part in name for part in INT8):
            step = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
            assert ((read.weights[name] - weight).abs() <= 0.501 * step).all()
        else:
            assert torch.equal(read.weights[name], weight.half().float())
    for name in trained().weights.keys() - trained().trainable().keys():
        assert torch.equal(read.weights[name], trained().weights[name])
    assert read.said == {"steps": 3}
    assert read.digest == Parent.load(tmp_path / "p.safetensors").digest != trained().digest


@pytest.mark.parametrize("damage", ["missing", "text", "kind", "weights", "nan", "skeleton"])
def test_what_is_no_parent_is_said_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p.safetensors"
    if damage == "text":
        path.write_text("hello")
    if damage == "kind":
        path.write_bytes(safetensors.torch.save({}, {"codec-search model 1": "{}"}))
    if damage == "weights":
        parent = Parent(trained().values, dict(trained().weights), trained().skeleton)
        parent.weights["analysis.head.weight"] = torch.zeros(3)
        parent.save(path, {})
    if damage == "nan":
        parent = Parent(trained().values, dict(trained().weights), trained().skeleton)
        head = parent.weights["analysis.head.weight"]
        parent.weights["analysis.head.weight"] = head * float("nan")
        parent.save(path, {})
    if damage == "skeleton":
        skeleton = replace(trained().skeleton, stride8=trained().skeleton.stride4)
        parent = Parent(trained().values, trained().weights, trained().skeleton)
        parent.skeleton = skeleton
        parent.save(path, {})
    with pytest.raises(ParentError, match=r"p\.safetensors") as said:
        Parent.load(path)
    assert "\n" not in str(said.value)


def test_a_parent_covers_the_spaces_within_its_own() -> None:
    parameters = dict(space().parameters)
    for name, values, covered in (
        ("decoder.16.C", (16,), True),
        ("decoder.16.C", (20,), True),
        ("decoder.16.C", (32,), False),
        ("decoder.16.C", (8,), False),
        ("context", ("grid",), True),
        ("context", ("hexagons",), False),
        ("scales", ("none",), True),
    ):
        other = SearchSpace("other", {**parameters, name: values}, space().reference)
        assert untrained().covers(other) == covered
