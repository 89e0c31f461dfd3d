"""Rank fidelity: how well a supernet's ranking of codecs agrees with another ranking of them.

For the other ranking, the codecs are trained independently. `benchmarks/rank_truth.py` measures
rank fidelity. The results ship beside the supernet.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from latency_predictor.checksum import REMEDY, ChecksumError, check_listed
from latency_predictor.errors import UserError
from search.training.pretrain import SHIPPED

SHIPPED_FIDELITY = SHIPPED / "fidelity.json"
BENCHMARK = "benchmarks/rank_truth.py"
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
"""Validation without coercion; unknown fields are errors."""


class FidelityError(UserError):
    """A file is not a list of records of rank fidelity."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RankFidelity:
    """A measured agreement of two rankings of the same codecs."""

    supernet: str
    """Digest of the supernet's weights, as `Supernet.digest`."""
    space: str
    """Name of the space of the codecs."""
    metric: str
    """Metric of the BD-rates by which codecs were ranked."""
    tau: float
    """Kendall's tau of the two rankings."""
    low: float
    """Lower end of the 90 % interval of tau."""
    high: float
    """Upper end of the 90 % interval of tau."""
    codecs: int
    """Number of codecs that were ranked."""
    against: str
    """The other ranking, as a noun phrase that follows the word `against` in messages."""
    command: str
    """Shell command that made the measurement."""
    photographs: str
    """Photographs of the measurement."""

    def __str__(self) -> str:
        return (
            f"Rank fidelity of this supernet by {self.metric}: tau {self.tau:.2f} ({self.low:.2f} "
            f"to {self.high:.2f}) over {self.codecs} codecs against {self.against}."
        )


_RECORDS = TypeAdapter(list[RankFidelity])


def find_fidelity(
    digest: str, space: str, metric: str, path: Path = SHIPPED_FIDELITY
) -> RankFidelity | None:
    """The record in `path` for a supernet's digest and the names of a space and a metric.

    Returns None if there is no such record or no file. Raises FidelityError if the file is not a
    list of records.
    """
    if not path.is_file():
        return None
    data = path.read_bytes()
    try:
        check_listed(path, data)
        records = _RECORDS.validate_json(data)
    except ChecksumError as error:
        raise FidelityError(f"{path}: {error}; {REMEDY}") from error
    except ValidationError as error:
        raise FidelityError(f"{path}: {_first(error)}") from error
    wanted = (digest, space, metric)
    found = (r for r in records if (r.supernet, r.space, r.metric) == wanted)
    return next(found, None)


def describe_fidelity(digest: str, space: str, metric: str, path: Path = SHIPPED_FIDELITY) -> str:
    """One sentence that states the known rank fidelity, or says how to measure it."""
    found = find_fidelity(digest, space, metric, path)
    if found:
        return str(found)
    return (
        f"Nobody has measured how well this supernet ranks {space} by {metric}; {BENCHMARK} does."
    )


def _first(error: ValidationError) -> str:
    """The first validation error: its place, what was expected, and the value found."""
    first = error.errors(include_url=False)[0]
    where = ", ".join(f"record {at + 1}" if isinstance(at, int) else at for at in first["loc"])
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "missing":
        return f"{where}: {message}"
    return f"{where}: {message}, not {first['input']!r}" if where else message
