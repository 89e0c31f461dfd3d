"""How well a supernet's ranking of codecs agrees with that of codecs trained on their own.

`benchmarks/rank_truth.py` measures it; what it found ships beside the supernet.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from search.parents import SHIPPED

SHIPPED_FIDELITY = SHIPPED / "fidelity.json"
BENCHMARK = "benchmarks/rank_truth.py"
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
"""Nothing is coerced, nothing ignored."""


class FidelityError(ValueError):
    """A file that is no list of measured fidelities."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RankFidelity:
    """Agreement of two rankings of the same codecs, measured once."""

    supernet: str
    """Digest of its weights, as `Parent.digest`."""
    space: str
    """Name of the space that the codecs are of."""
    metric: str
    """Metric of the BD-rates that both rankings are by."""
    tau: float
    """Kendall's."""
    low: float
    """Lower end of its 90 % interval."""
    high: float
    codecs: int
    """How many were ranked."""
    against: str
    """What the supernet's ranking was compared with, to be read after `against`."""
    command: str
    """Command that measured it."""
    photographs: str
    """Photographs that it was measured on."""

    def __str__(self) -> str:
        return (
            f"Rank fidelity of this supernet by {self.metric}: tau {self.tau:.2f} ({self.low:.2f} "
            f"to {self.high:.2f}) over {self.codecs} codecs against {self.against}."
        )


_RECORDS = TypeAdapter(list[RankFidelity])


def find_fidelity(
    digest: str, space: str, metric: str, path: Path = SHIPPED_FIDELITY
) -> RankFidelity | None:
    """What `path` knows of the supernet of that digest, for a space and a metric by their names.

    None without such a record or without the file. Raises FidelityError for a file that is no list
    of records.
    """
    if not path.is_file():
        return None
    try:
        records = _RECORDS.validate_json(path.read_bytes())
    except ValidationError as error:
        raise FidelityError(f"{path}: {_first(error)}") from error
    wanted = (digest, space, metric)
    found = (r for r in records if (r.supernet, r.space, r.metric) == wanted)
    return next(found, None)


def said_of(digest: str, space: str, metric: str, path: Path = SHIPPED_FIDELITY) -> str:
    """A sentence of what `find_fidelity` finds, or of how to measure it where it finds nothing."""
    found = find_fidelity(digest, space, metric, path)
    if found:
        return str(found)
    return (
        f"Nobody has measured how well this supernet ranks {space} by {metric}; {BENCHMARK} does."
    )


def _first(error: ValidationError) -> str:
    """The first thing that is wrong: where it is, what was expected, and what is there."""
    first = error.errors(include_url=False)[0]
    where = ", ".join(f"record {at + 1}" if isinstance(at, int) else at for at in first["loc"])
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "missing":
        return f"{where}: {message}"
    return f"{where}: {message}, not {first['input']!r}" if where else message
