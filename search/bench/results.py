"""Measurements as rate-distortion curves per codec and photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.bench.anchors import BenchCodec
from search.bench.measure import Photograph
from search.bench.store import Measured, Store
from search.metrics import find_metric
from search.metrics.rate_distortion import (
    BdRate,
    CurveError,
    PhotographCurves,
    bd_rate_over_photographs,
)


@dataclass(frozen=True)
class Results:
    """Results of a bench."""

    photographs: tuple[Photograph, ...]
    codecs: tuple[BenchCodec, ...]
    """All codecs; the anchor is the first."""
    metrics: tuple[str, ...]
    measured: dict[str, dict[str, list[Measured]]]
    """Measurements by codec name and photograph digest, as a list in the order of the codec's
    `qualities`. A photograph is left out for a codec if the measurement at any quality is
    missing."""

    @property
    def anchor(self) -> BenchCodec:
        """The codec that the others are compared with."""
        return self.codecs[0]

    @classmethod
    def collect(
        cls,
        store: Store,
        photographs: Sequence[Photograph],
        codecs: Sequence[BenchCodec],
        metrics: Sequence[str],
    ) -> Results:
        """Collect the stored measurements of the given photographs, codecs and metrics."""
        measured: dict[str, dict[str, list[Measured]]] = {}
        for codec in codecs:
            measured[codec.name] = {}
            for photograph in photographs:
                rows = [
                    store.get((codec.settings, photograph.digest, quality))
                    for quality in codec.qualities
                ]
                whole = [row for row in rows if row is not None and set(metrics) <= set(row.scores)]
                if len(whole) == len(rows):
                    measured[codec.name][photograph.digest] = whole
        return cls(tuple(photographs), tuple(codecs), tuple(metrics), measured)

    def curves(self, codec: str, digests: Sequence[str]) -> PhotographCurves:
        """Rates and metric values of one codec, as arrays [photographs, quality levels].

        The photographs are those with the given digests.
        """
        rows = [self.measured[codec][digest] for digest in digests]
        curves = {"bpp": np.array([[row.bpp for row in levels] for levels in rows])}
        for name in self.metrics:
            quality = find_metric(name).quality
            curves[name] = np.array(
                [[quality(row.scores[name]) for row in levels] for levels in rows]
            )
        return curves

    def shared(self, *codecs: str) -> list[str]:
        """Digests of the photographs that all given codecs coded."""
        return [
            p.digest for p in self.photographs if all(p.digest in self.measured[c] for c in codecs)
        ]

    def bd_rate(self, codec: str, metric: str) -> BdRate:
        """BD-rate of a codec against the anchor, over the photographs that both coded.

        Raises CurveError if there is no such photograph or no BD-rate.
        """
        digests = self.shared(self.anchor.name, codec)
        if not digests:
            raise CurveError("no photograph was coded by both")
        return bd_rate_over_photographs(
            self.curves(self.anchor.name, digests), self.curves(codec, digests), metric
        )
