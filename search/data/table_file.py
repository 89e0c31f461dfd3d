"""Tables in Parquet files that contain a checksum of the whole file among their metadata."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from latency_predictor.checksum import BLANK, FIELD, check, with_checksum


def table_bytes(frame: pd.DataFrame) -> bytes:
    """The bytes of a Parquet file with a table and the file's checksum."""
    table = pa.Table.from_pandas(frame)
    file = BytesIO()
    parquet.write_table(
        table.replace_schema_metadata({**(table.schema.metadata or {}), FIELD: BLANK}), file
    )
    return with_checksum(file.getvalue())


def read_table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The table in a file, or some columns of it. Files of earlier versions have no checksum.

    Raises OSError if the file cannot be read, and ValueError if it is damaged, or lacks one of the
    columns.
    """
    data = path.read_bytes()
    try:
        metadata = parquet.read_metadata(BytesIO(data)).metadata or {}
    # Some of pyarrow's errors are of several lines.
    except (OSError, pa.ArrowException) as error:
        raise ValueError(" ".join(str(error).split())) from error
    if checksum := metadata.get(FIELD.encode()):
        check(data, checksum.decode(errors="replace"))
    return pd.read_parquet(BytesIO(data), columns=columns)
