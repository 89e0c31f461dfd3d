"""Slices of a supernet, compared with codecs that are built and initialised on their own."""

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
from space.codec.blocks import ConvScale, ScaledWeight
from space.codec.context import split_groups
from space.codec.initialisation import fit_initialisation
from space.codec.int8 import WIDE, is_kernel_of
from space.codec.supernet import FORMER_SUPERNET_KEY, SUPERNET_KEY, Supernet, SupernetError
from space.search_space import SearchSpace, extreme

CHAIN = {"C": [16, 24], "R": [0, 1, 2], "E": [1, 2], "F": [1, 3]}
POINT = {"C": 16, "R": 1, "E": 1, "F": 1}


@cache
def space() -> SearchSpace:
    """A space with small widths and every choice."""
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
def untrained() -> Supernet:
    generator = torch.Generator().manual_seed(0)
    return Supernet.begin(
        space(), fit_initialisation(torch.rand(8, 3, 64, 64, generator=generator))
    )


@cache
def trained() -> Supernet:
    """A supernet whose weights have all moved from their start, as after training."""
    generator = torch.Generator().manual_seed(1)
    supernet = Supernet.begin(space(), untrained().initialisation)
    for name, weight in supernet.trainable().items():
        near = 0.05 * torch.randn(weight.shape, generator=generator)
        supernet.weights[name] = weight + near
    return supernet


def image() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


QUALITY = torch.tensor([4.0])
numbers = st.integers(0, space().size - 1)


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_subnets_of_an_untrained_supernet_are_initialised_codecs(number: int) -> None:
    architecture = space().architecture(number)
    subnet = untrained().start(architecture).eval()
    alone = untrained().initialisation.start(architecture).eval()
    with torch.no_grad():
        inherited, expected = subnet(image(), QUALITY), alone(image(), QUALITY)
    torch.testing.assert_close(inherited.image, expected.image)
    # The hyper-latent starts with bands of the latent, which depend on the widths of both.
    if (architecture.latent_channels, architecture.hyper_channels) == (24, 16):
        torch.testing.assert_close(inherited.bits, expected.bits)


@settings(max_examples=40, deadline=None)
@given(numbers)
def test_a_subnet_codes_as_the_supernet_trains_it(number: int) -> None:
    architecture = replace(space().architecture(number), scales="learned")
    subnet = trained().start(architecture).train()
    with torch.no_grad():
        torch.manual_seed(0)
        alone = subnet(image(), QUALITY)
        torch.manual_seed(0)
        within = trained().code(architecture, image(), QUALITY)
    torch.testing.assert_close(within.image, alone.image)
    torch.testing.assert_close(within.bits, alone.bits)


@settings(max_examples=20, deadline=None)
@given(numbers)
def test_without_scales_a_subnet_has_them_in_its_weights(number: int) -> None:
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


def test_every_weight_is_of_use_to_some_subnet() -> None:
    supernet = Supernet.begin(space(), untrained().initialisation)
    weights = supernet.trainable()
    for weight in weights.values():
        weight.requires_grad_(True)
    # The largest subnet of every combination of choices on which a module depends.
    for resampling, context, scale_path in (
        ("haar", "none", "uint8"),
        ("pixel_shuffle", "checkerboard", "linear"),
        ("conv", "grid", "uint8"),
        ("haar", "channels", "linear"),
    ):
        widest = extreme(space(), space().reference, max)
        choices = {"resampling": resampling, "context": context, "scale_path": scale_path}
        coded = supernet.code(replace(widest, **choices), image(), QUALITY)
        (coded.image.sum() + coded.bits.sum()).backward()
    assert [name for name, weight in weights.items() if weight.grad is None] == []


def test_narrow_subnets_read_the_first_channels() -> None:
    smallest = extreme(space(), space().reference, min)
    narrow = replace(smallest, decoder=(Chain(16, 1, 1, 1),) * 3)
    slices, weights = trained().slices(narrow), trained().weights
    name = "decoder.synthesis.chains.0.blocks.0.branch.0.weight"
    assert torch.equal(slices[name], weights[name][:16, :16])
    # The inputs are the latent's values, then its magnitudes, with four subbands per channel.
    name = "analysis.hyper.down.conv.weight"
    first, second = weights[name][:12].split(4 * 24, dim=1)
    assert torch.equal(slices[name], torch.cat([first[:, :64], second[:, :64]], dim=1))


@pytest.mark.parametrize("pattern", ["grid", "checkerboard"])
def test_the_context_of_narrow_latents_reads_the_same_channels_of_the_same_phases(
    pattern: str,
) -> None:
    def entries(latent: int) -> list[Tensor]:
        """Labels of every group's entries, which are channel + phase / 10."""
        phases = torch.tensor([[0.0, 0.1], [0.2, 0.3]])
        labels = torch.arange(latent)[None, :, None, None] + phases
        return [group[0, :, 0, 0] for group in split_groups(labels, pattern)]

    supernet = Supernet(space().parameters, dict(trained().weights), trained().initialisation)
    wide, narrow = entries(24), entries(16)
    for step in range(1, len(wide)):
        name = f"decoder.context.decoded.{step - 1}.weight"
        outputs, inputs = wide[step], torch.cat(wide[:step])
        labelled = (outputs[:, None] * 100 + inputs)[..., None, None].expand(-1, -1, 3, 3)
        supernet.weights[f"{name}@{pattern}"] = labelled
        small = extreme(space(), space().reference, min)
        sliced = supernet.slices(replace(small, context=pattern))[name][:, :, 0, 0]
        outputs, inputs = narrow[step], torch.cat(narrow[:step])
        assert torch.equal(sliced, outputs[:, None] * 100 + inputs)


def test_a_saved_supernet_is_read_in_half_precision_and_branches_in_eight_bits(
    tmp_path: Path,
) -> None:
    trained().save(tmp_path / "p.safetensors", {"steps": 3})
    read = Supernet.load(tmp_path / "p.safetensors")
    assert read.values == trained().values
    for name, weight in trained().trainable().items():
        if is_kernel_of(WIDE, name, weight):
            step = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
            assert ((read.weights[name] - weight).abs() <= 0.501 * step).all()
        else:
            assert torch.equal(read.weights[name], weight.half().float())
    for name in trained().weights.keys() - trained().trainable().keys():
        assert torch.equal(read.weights[name], trained().weights[name])
    assert read.metadata == {"steps": 3}
    assert read.digest == Supernet.load(tmp_path / "p.safetensors").digest != trained().digest


@pytest.mark.parametrize("damage", ["missing", "text", "kind", "weights", "nan", "skeleton"])
def test_an_unreadable_supernet_is_reported_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p.safetensors"
    if damage == "text":
        path.write_text("hello")
    if damage == "kind":
        path.write_bytes(safetensors.torch.save({}, {"codec-search model 1": "{}"}))
    if damage == "weights":
        supernet = Supernet(trained().values, dict(trained().weights), trained().initialisation)
        supernet.weights["analysis.head.weight"] = torch.zeros(3)
        supernet.save(path, {})
    if damage == "nan":
        trained().save(path, {})
        with safetensors.safe_open(path, framework="pt") as file:
            text = file.metadata()[SUPERNET_KEY].partition(" ")[2]
        tensors = safetensors.torch.load_file(path)
        tensors["weights.analysis.head.weight"] *= float("nan")
        safetensors.torch.save_file(tensors, path, {FORMER_SUPERNET_KEY: text})
    if damage == "skeleton":
        initialisation = replace(trained().initialisation, stride8=trained().initialisation.stride4)
        supernet = Supernet(trained().values, trained().weights, trained().initialisation)
        supernet.initialisation = initialisation
        supernet.save(path, {})
    with pytest.raises(SupernetError, match=r"p\.safetensors") as caught:
        Supernet.load(path)
    assert "\n" not in str(caught.value)


def test_a_supernet_covers_the_spaces_within_its_own() -> None:
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
