"""Safetensors files that hold tensors, metadata, and the kind and version of the file.

Reading executes nothing in a file. The safetensors header of a file has a single key, such as
`codec-search model 2`, which names the file's kind and version. The value of the key is the
checksum of the whole file, a space, and the metadata as JSON. With several keys, the bytes of a
file would vary from one writing to the next, because safetensors writes keys in no fixed order.
Files of earlier versions have other keys, and the metadata alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from latency_predictor.checksum import BLANK, REMEDY, check, check_listed, with_checksum
from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole

if TYPE_CHECKING:
    from torch import Tensor


class NotFinite(UserError):
    """Weights that are NaN or infinite, which are not written to a file."""


def write_tensors(
    path: Path,
    key: str,
    metadata: Any,
    tensors: Mapping[str, Tensor],
    may_be_nan: Container[str] = (),
) -> None:
    """Write tensors and metadata to a file atomically, with a checksum.

    `key` names the file's kind and version. `metadata` must be representable as JSON. Raises
    NotFinite if a tensor that is not in `may_be_nan` contains NaN or infinite values, and OSError
    if the file cannot be written.
    """
    import safetensors.torch

    if name := _not_finite(tensors, may_be_nan):
        raise NotFinite(
            f"{path}: not written, because {name} contains NaN or infinite values, and all values "
            "must be finite; lower learning rates may help"
        )
    header = {key: f"{BLANK} {json.dumps(metadata)}"}
    write_whole(path, with_checksum(safetensors.torch.save(dict(tensors), header)))


def read_tensors(
    path: Path,
    key: str,
    error: type[ValueError],
    kind: str = "",
    former: str = "",
    may_be_nan: Container[str] = (),
    earlier: Collection[str] = (),
) -> tuple[Any, dict[str, Tensor]]:
    """Read the metadata and tensors of a file that `write_tensors` wrote with the same `key`.

    `kind` is the noun for such a file in error messages, by default the second word of `key`.
    `earlier` are keys of such files of earlier versions. `former` is the key of those that have no
    checksum of their own, but may have one in a list beside them. Raises `error` if the file is
    missing or damaged, if its key is another one, or if a tensor that is not in `may_be_nan`
    contains NaN or infinite values.
    """
    metadata, tensors = _read(path, "pt", (key, *earlier), former, error, kind or key.split()[1])
    _check_finite(path, tensors, may_be_nan, error)
    return metadata, tensors


def read_arrays(
    path: Path, key: str, error: type[ValueError], former: str, earlier: Collection[str]
) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Read the same as NumPy arrays, without torch."""
    metadata, arrays = _read(path, "numpy", (key, *earlier), former, error, key.split()[1])
    _check_finite(path, arrays, (), error)
    return metadata, arrays


def _read(
    path: Path, framework: str, keys: Collection[str], former: str, error: type[ValueError],
    kind: str,
) -> tuple[Any, dict[str, Any]]:  # fmt: skip
    """Metadata and tensors of a file with one of `keys` or the key `former`."""
    try:
        with safetensors.safe_open(path, framework=framework) as file:
            header = file.metadata() or {}
            text = _verified(path, header, keys, former)
            tensors = {} if text is None else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(text or "null")
    except FileNotFoundError as cause:
        raise error(f"{path}: no such {kind}") from cause
    except (OSError, safetensors.SafetensorError) as cause:
        raise error(f"{path}: not a {kind}, or a damaged one ({cause}); {REMEDY}") from cause
    except (AttributeError, RecursionError, TypeError, ValueError) as cause:
        # An AttributeError names a type of numbers that NumPy lacks.
        raise error(f"{path}: damaged ({cause}); {REMEDY}") from cause
    if text is None:
        found = ", ".join(header) or "of no known kind"
        raise error(f"{path}: the file is {found}, but only {next(iter(keys))!r} can be read")
    return metadata, tensors


def _verified(
    path: Path, header: Mapping[str, str], keys: Collection[str], former: str
) -> str | None:
    """The metadata of a file as JSON, or None if it has another key.

    Raises ChecksumError if the file is not the one that was written.
    """
    for key in keys:
        if key in header:
            checksum, _, text = header[key].partition(" ")
            check(path.read_bytes(), checksum)
            return text
    if former in header:
        check_listed(path, path.read_bytes())
    return header.get(former)


def _check_finite(
    path: Path, tensors: Mapping[str, Any], may_be_nan: Container[str], error: type[ValueError]
) -> None:
    if name := _not_finite(tensors, may_be_nan):
        raise error(f"{path}: {name} contains NaN or infinite values; {REMEDY}")


def _not_finite(tensors: Mapping[str, Any], exempt: Container[str]) -> str | None:
    """Name of the first tensor or array outside `exempt` with NaN or infinite values."""
    for name, tensor in tensors.items():
        finite = np.isfinite(tensor) if isinstance(tensor, np.ndarray) else tensor.isfinite()
        if name not in exempt and not finite.all():
            return name
    return None
