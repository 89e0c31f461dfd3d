"""Options that several commands have, and the choice of architectures that two of them make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.values import path, whole_number
from latency_predictor.devices import LOCAL_CPU

if TYPE_CHECKING:
    from latency_predictor.measure.programs import ProgramSource

CHOICE_DEVICE = "iphone16pro"
"""Device for which architectures are chosen by default."""

ModelFile = Annotated[
    Path | None,
    typer.Option("--model", metavar="FILE", parser=path, help="Model file instead of the shipped."),
]
Space = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        parser=lambda text: str(path(text)),
        help="Name of a search space, or a YAML file with one.",
    ),
]
Count = Annotated[
    int, typer.Option("--n", metavar="N", parser=whole_number(1), help="Number of architectures.")
]
ChoiceDevice = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help=f"A phone, or {LOCAL_CPU}.")
]
Random = Annotated[bool, typer.Option("--random", help="Choose at random, to check predictions.")]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", parser=whole_number(0), help="Seed of the choice.")
]


@dataclass(frozen=True)
class Choice:
    """The way in which architectures of a space are chosen for a measurement."""

    n: int
    model: Path | None
    """The current latency model; None is the shipped one."""
    random: bool
    """Whether the architectures are drawn at random. Otherwise they are those that tell the model
    most about the device."""
    seed: int

    def numbers(self, source: ProgramSource, device: str) -> list[int]:
        """Numbers of the chosen architectures, most informative first unless they are random.

        Raises TooFewArchitectures if more are requested than can be chosen. Raises ArtefactError
        for the model file and UnknownDevice, unless the choice is random.
        """
        import numpy as np

        from latency_predictor.model import artefact
        from latency_predictor.model.priors import of_new_laboratory
        from latency_predictor.model.suggest import at_random, choose
        from latency_predictor.model.times import RooflineTimes

        rng = np.random.default_rng(self.seed)
        if self.random:
            return at_random(source, self.n, rng).tolist()
        times = artefact.load(self.model or artefact.SHIPPED_MODEL).times(device)
        return choose(source, RooflineTimes(of_new_laboratory(times.logs)), self.n, rng).tolist()
