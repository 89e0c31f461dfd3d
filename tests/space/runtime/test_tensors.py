"""Models whose tensors are not those of their architecture are refused when they are read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from space.architecture import CHOICES, Architecture, Chain
from space.bitstream.model_file import Model, ModelError
from space.bitstream.stored_model import Description, StoredModel
from space.codec.codec import Codec
from space.runtime.files import RuntimeModel
from space.runtime.networks import decoder_graph
from space.runtime.tensors import ANY, check_tensors, tensor_shapes

Array = NDArray[Any]
CHAINS = (Chain(8, 1, 2, 3), Chain(12, 0), Chain(16, 2, 1, 2))
BRANCH = "decoder.synthesis.chains.0.blocks.1.branch"


def stored(compact: bool = False, /, **choices: str) -> StoredModel:
    torch.manual_seed(0)
    model = Model.of(Codec(Architecture(CHAINS, CHAINS[::-1], 8, 4, **choices)))
    model = model.compact() if compact else model
    tensors = {name: value.numpy() for name, value in model.tensors().items()}
    return StoredModel(Description(model.architecture, model.id, model.lambdas), tensors)


@pytest.fixture(scope="module")
def whole() -> StoredModel:
    return stored()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in CHOICES.items() for value in values]
)
def test_shapes_are_those_of_torch(name: str, value: str) -> None:
    model = stored(**{name: value})
    expected = dict(tensor_shapes(model.description.architecture))
    assert expected.pop("tables.cdfs") == (len(model.tensors["tables.cdfs"]), ANY)
    assert expected == {n: x.shape for n, x in model.tensors.items() if n != "tables.cdfs"}
    RuntimeModel(model)


@pytest.mark.parametrize("resampling", CHOICES["resampling"])
def test_compact_models_are_accepted(resampling: str) -> None:
    RuntimeModel(stored(True, resampling=resampling))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_may_have_any_float_type(dtype: type[np.generic], whole: StoredModel) -> None:
    weights = {name: x.astype(dtype) for name, x in whole.tensors.items() if x.dtype.kind == "f"}
    RuntimeModel(replace(whole, tensors=whole.tensors | weights))


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("analysis.head.weight", None, "analysis.head.weight is missing"),
        ("analysis.head.weight", lambda x: x[:, :5], r"\[8, 5, 1, 1\], expected \[8, 16, 1, 1\]"),
        ("analysis.head.weight", lambda x: x.astype(np.int8), "int8, expected float"),
        ("analysis.head.bias", lambda x: x[None], "analysis.head.bias is"),
        ("scales.base", lambda x: x[:3], r"scales.base is \[3, 8\], expected \[8, 8\]"),
        ("scales.base", lambda x: x[0], "scales.base is"),
        ("scales.base", lambda x: x.astype(np.float64), "float64, expected int64"),
        ("scales.meta", lambda x: x[:, :1], "scales.meta is"),
        ("scales.meta", lambda x: x[:, :0], "scales.meta is"),
        ("scales.layers.0.weight", None, "scales.layers.0.weight is missing"),
        ("scales.layers.0.weight", lambda x: x.astype(np.float32), "expected int8"),
        ("scales.layers.1.factor", None, "scales.layers.1.factor is missing"),
        ("tables.cdfs", lambda x: 0 * x, "frequencies must rise"),
        ("tables.cdfs", lambda x: x.astype(np.float32), "float32, expected int32"),
        ("tables.cdfs", lambda x: x[0], "tables.cdfs is"),
        ("tables.lengths", lambda x: x.astype(np.int64), "int64, expected int32"),
        ("tables.offsets", lambda x: x[:5], "tables.offsets is"),
        ("tables.offsets", lambda x: x.astype(np.float32), "float32, expected int32"),
    ],
)
def test_other_tensors_are_refused(
    part: str, change: Callable[[Array], Array] | None, said: str, whole: StoredModel
) -> None:
    changed = {part: change(whole.tensors[part])} if change else {}
    others = {name: x for name, x in whole.tensors.items() if name != part}
    with pytest.raises(ModelError, match=rf"damaged \(.*{said}"):
        RuntimeModel(replace(whole, tensors=others | changed))


@pytest.mark.parametrize("missing", [BRANCH, "decoder.context.log_width", "analysis.chains.2"])
def test_a_missing_part_is_refused(missing: str, whole: StoredModel) -> None:
    tensors = {name: x for name, x in whole.tensors.items() if not name.startswith(missing)}
    assert len(tensors) < len(whole.tensors)
    with pytest.raises(ModelError, match=rf"damaged \({missing}.* is missing"):
        RuntimeModel(replace(whole, tensors=tensors))


@pytest.mark.parametrize(
    "extra",
    [
        "scales.layers.2.factor",
        "int8_steps.none",
        "int8_steps.scales.layers.0.weight",
        f"{BRANCH}.6.weight",
        "other",
    ],
)
def test_a_tensor_too_many_is_refused(extra: str, whole: StoredModel) -> None:
    tensors = whole.tensors | {extra: np.zeros(3, np.float32)}
    with pytest.raises(ModelError, match=f"{extra} is no tensor"):
        RuntimeModel(replace(whole, tensors=tensors))


@pytest.mark.parametrize("change", [lambda x: x[:1], lambda x: x.astype(np.int8), lambda x: x[0]])
def test_other_steps_are_refused(change: Callable[[Array], Array]) -> None:
    compact = stored(True)
    step = f"int8_steps.{BRANCH}.0.weight"
    tensors = compact.tensors | {step: change(compact.tensors[step])}
    with pytest.raises(ModelError, match=step):
        RuntimeModel(replace(compact, tensors=tensors))


def test_steps_need_weights_of_eight_bits(whole: StoredModel) -> None:
    name = f"{BRANCH}.0.weight"
    step = np.ones((len(whole.tensors[name]), 1, 1, 1), np.float32)
    with pytest.raises(ModelError, match=f"the type of {name} is float32, expected int8"):
        RuntimeModel(replace(whole, tensors=whole.tensors | {f"int8_steps.{name}": step}))


def test_an_architecture_larger_than_memory_is_refused_at_once(whole: StoredModel) -> None:
    chains = (Chain(10**3000, 10**12, 10**3000), *CHAINS[1:])
    forged = replace(whole.description.architecture, decoder=chains)
    with pytest.raises(ValueError, match=r"decoder.synthesis|Exceeds the limit"):
        check_tensors(forged, whole.tensors)
    with pytest.raises(ModelError, match="damaged"):
        RuntimeModel(replace(whole, description=replace(whole.description, architecture=forged)))


def test_the_graph_follows_the_architecture(whole: StoredModel) -> None:
    weights = whole.weights("decoder.")
    for missing in ("synthesis.chains.0.blocks.1.branch.0.weight", "context.log_width.0.weight"):
        with pytest.raises(KeyError, match=missing):
            decoder_graph(
                whole.description.architecture,
                {name: x for name, x in weights.items() if name != missing},
            )


def test_an_activation_without_nodes_fails(whole: StoredModel) -> None:
    forged = replace(whole.description.architecture)
    object.__setattr__(forged, "activation", "gdn")
    with pytest.raises(KeyError, match="the activation 'gdn' has no ONNX nodes"):
        decoder_graph(forged, whole.weights("decoder."))
