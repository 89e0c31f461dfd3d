"""A flipped bit in any file that is read back is noticed, or leaves the content as it was."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors
import safetensors.torch
import torch
import yaml

from latency_predictor.checksum import FIELD, SUMS
from latency_predictor.model import artefact
from latency_predictor.model.artefact import ArtefactError
from latency_predictor.placement import placement
from latency_predictor.profiles import lowered
from search.config.schema import CONFIGS
from search.data import text_mask
from search.data.crop_cache import Prepared, cached
from search.data.table_file import read_table, table_bytes
from search.data.text_mask import masks_of
from search.promotion.card import Card
from search.report.rank_fidelity import SHIPPED_FIDELITY, FidelityError, find_fidelity
from search.study.records import ClassicalRecord, RecordError, ReferenceRecord, RunRecord
from search.training import checkpoint
from search.training.checkpoint import CheckpointError
from search.training.pretrain import SHIPPED, SHIPPED_SUPERNET
from space.bitstream.model_file import FORMER_MODEL_KEY, MODEL_KEY, Model, ModelError
from space.codec.codec import Codec
from space.codec.initialisation import fit_initialisation
from space.codec.supernet import FORMER_SUPERNET_KEY, SUPERNET_KEY, Supernet, SupernetError
from space.search_space import SearchSpace

REFERENCE = Path(__file__).parents[2] / "results/reference"
CROPS = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)


def tiny() -> SearchSpace:
    return SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()))


def content_of(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: (str(t.dtype), t.tolist()) for name, t in tensors.items()}


@dataclass(frozen=True)
class Kind:
    """A kind of file: how it is written, what is read of it, and the error of a damaged one."""

    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    error: type[Exception]
    flips: int = 200


def write_model(folder: Path) -> Path:
    torch.manual_seed(0)
    small = replace(tiny().reference, latent_channels=8, hyper_channels=4)
    Model.of(Codec(small)).save(folder / "model.safetensors")
    return folder / "model.safetensors"


def read_model(path: Path) -> Any:
    model = Model.load(path)
    digest = {name: sha256(t.numpy().tobytes()).digest() for name, t in model.tensors().items()}
    return model.id, model.architecture, digest


def write_supernet(folder: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    start = fit_initialisation(torch.rand(4, 3, 64, 64, generator=generator))
    Supernet.begin(tiny(), start).save(folder / "supernet.safetensors", {"steps": 3})
    return folder / "supernet.safetensors"


def read_supernet(path: Path) -> Any:
    supernet = Supernet.load(path)
    return supernet.digest, supernet.metadata


def write_checkpoint(folder: Path) -> Path:
    tensors = {"weights.a": torch.randn(20), "curve": torch.tensor([1.0, torch.nan])}
    checkpoint.save(folder / "c.safetensors", {"seed": 1}, {"step": 3}, tensors)
    return folder / "c.safetensors"


def read_checkpoint(path: Path) -> Any:
    metadata, tensors = checkpoint.load(path, {"seed": 1}, "name=NAME")
    return metadata, str(content_of(tensors))


def write_table(folder: Path) -> Path:
    frame = pd.DataFrame({"id": ["a", "b"], "curve": [[1.0, 2.0], [3.0]], "ms": [0.1, 0.2]})
    (folder / "trials.parquet").write_bytes(table_bytes(frame))
    return folder / "trials.parquet"


def prepared() -> Prepared:
    return Prepared(CROPS, CROPS[:1], ["aa", "bb"], ["bb"], [], [], [], [])


def write_crops(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        cached(folder / "crops", "key", prepared)
        return folder / "crops/key" / name

    return write


def read_crops(path: Path) -> Any:
    return str(cached(path.parents[1], "key", prepared))


class Detector:
    """Stands in for the text detector, whose package is optional."""

    def mask(self, pixels: np.ndarray) -> np.ndarray:
        return pixels[..., 0] > 100


def write_masks(folder: Path) -> Path:
    masks_of(CROPS, folder / "masks")
    (path,) = (folder / "masks").iterdir()
    return path


def write_artefact(folder: Path) -> Path:
    artefact.save(artefact.load(), folder / "latency.json")
    return folder / "latency.json"


def write_placement(folder: Path) -> Path:
    placement.save(placement.load(), folder / "placement.json")
    return folder / "placement.json"


def write_record(record: type[RunRecord | ReferenceRecord | ClassicalRecord]) -> Any:
    def write(folder: Path) -> Path:
        record.read(REFERENCE).write(folder)
        return folder / record.FILE

    return write


def write_card(folder: Path) -> Path:
    Card.read(next((REFERENCE / "promoted").iterdir())).write(folder)
    return folder / Card.FILE


def shipped(path: Path) -> Callable[[Path], Path]:
    def copy(folder: Path) -> Path:
        shutil.copyfile(path.with_name(SUMS), folder / SUMS)
        return Path(shutil.copyfile(path, folder / path.name))

    return copy


def read_fidelity(path: Path) -> Any:
    record = json.loads(SHIPPED_FIDELITY.read_text())[0]
    return find_fidelity(record["supernet"], record["space"], record["metric"], path)


RECORDS = {
    record.FILE: Kind(write_record(record), lambda path, r=record: r.read(path.parent), RecordError)
    for record in (RunRecord, ReferenceRecord, ClassicalRecord)
}
KINDS = {
    "model": Kind(write_model, read_model, ModelError),
    "supernet": Kind(write_supernet, read_supernet, SupernetError, 60),
    "checkpoint": Kind(write_checkpoint, read_checkpoint, CheckpointError, 600),
    "table": Kind(write_table, lambda path: str(read_table(path).to_dict()), ValueError, 600),
    "train.npy": Kind(write_crops("train.npy"), read_crops, AssertionError),
    "select.npy": Kind(write_crops("select.npy"), read_crops, AssertionError),
    "index.json": Kind(write_crops("index.json"), read_crops, AssertionError),
    "masks": Kind(
        write_masks, lambda path: masks_of(CROPS, path.parent).tolist(), AssertionError
    ),
    "latency model": Kind(write_artefact, lambda p: str(asdict(artefact.load(p))), ArtefactError),
    "placement": Kind(write_placement, placement.load, ArtefactError),
    "card": Kind(write_card, lambda path: Card.read(path.parent), RecordError),
    **RECORDS,
    "shipped latency model": Kind(
        shipped(artefact.SHIPPED_MODEL), lambda p: str(asdict(artefact.load(p))), ArtefactError, 50
    ),
    "shipped placement": Kind(shipped(placement.SHIPPED_RULES), placement.load, ArtefactError),
    "shipped op lists": Kind(
        shipped(lowered.SHIPPED_OP_LISTS), lambda path: str(lowered.load(path)), ArtefactError
    ),
    "shipped fidelity": Kind(shipped(SHIPPED_FIDELITY), read_fidelity, FidelityError),
    "shipped supernet": Kind(shipped(SHIPPED_SUPERNET), read_supernet, SupernetError, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_is_noticed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_mask, "TextDetector", Detector)
    kind, rng = KINDS[name], np.random.default_rng(0)
    path = kind.write(tmp_path)
    whole, content = path.read_bytes(), kind.read(path)
    # A header, which says what all other bytes mean, is a small part of a large file.
    places = [*rng.integers(8 * len(whole), size=kind.flips), *rng.integers(800, size=4)]
    said, rebuilt = [], 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = kind.read(path)
        except kind.error as error:
            said.append(str(error))
        else:
            assert found == content, place
            # A cache is written again, with the same bytes.
            rebuilt += path.read_bytes() == whole
    assert all("\n" not in line for line in said)
    assert all(path.name in line for line in said) or kind.error is ValueError
    # Some bits of a format mean nothing, such as the kind of white space in JSON.
    assert len(said) + rebuilt > 0.9 * len(places)


@pytest.mark.parametrize(
    ("write", "read", "key", "former"),
    [
        (write_model, read_model, MODEL_KEY, FORMER_MODEL_KEY),
        (write_supernet, read_supernet, SUPERNET_KEY, FORMER_SUPERNET_KEY),
        (write_checkpoint, read_checkpoint, checkpoint.KEY, checkpoint.FORMER_KEY),
    ],
)
def test_files_of_earlier_versions_are_read(
    write: Callable[[Path], Path],
    read: Callable[[Path], Any],
    key: str,
    former: str,
    tmp_path: Path,
) -> None:
    path = write(tmp_path)
    content = read(path)
    with safetensors.safe_open(path, framework="pt") as file:
        ((found, value),) = file.metadata().items()
    checksum, _, metadata = value.partition(" ")
    assert found == key
    assert re.fullmatch("[0-9a-f]{64}", checksum)
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, {former: metadata})
    assert read(path) == content
    # Of a checksum in a list beside the file, both are checked.
    (tmp_path / SUMS).write_text(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    assert read(path) == content
    (tmp_path / SUMS).write_text(f"{64 * '0'}  {path.name}\n")
    with pytest.raises(ValueError, match=f"{path.name}: damaged .*does not match {SUMS}"):
        read(path)


@pytest.mark.parametrize("name", [*RECORDS, "card", "latency model", "placement"])
def test_records_of_earlier_versions_are_read(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = kind.write(tmp_path)
    content = kind.read(path)
    fields = json.loads(path.read_text())
    assert re.fullmatch("[0-9a-f]{64}", fields.pop(FIELD))
    path.write_text(json.dumps(fields))
    assert kind.read(path) == content


def test_a_table_without_a_checksum_is_read(tmp_path: Path) -> None:
    path = write_table(tmp_path)
    frame = read_table(path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)
    frame.to_parquet(path)
    pd.testing.assert_frame_equal(read_table(path), frame)
    assert list(read_table(path, ["id"])) == ["id"]


@pytest.mark.parametrize("folder", [SHIPPED, artefact.SHIPPED_MODEL.parent])
def test_every_shipped_file_is_listed_with_its_checksum(folder: Path) -> None:
    lines = (folder / SUMS).read_text().splitlines()
    listed = dict(reversed(line.split("  ")) for line in lines)
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert listed == {name: checksum for name, checksum in found.items() if name != SUMS}
