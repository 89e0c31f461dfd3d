"""The command `suggest`."""

from __future__ import annotations

from typing import Any

from latency_predictor.cli.options import (
    CHOICE_DEVICE,
    Choice,
    ChoiceDevice,
    Count,
    ModelFile,
    Random,
    Seed,
    Space,
)


def suggest(
    space: Space,
    n: Count = 20,
    device: ChoiceDevice = CHOICE_DEVICE,
    model: ModelFile = None,
    random: Random = False,
    seed: Seed = 0,
) -> dict[str, Any]:
    """List the architectures that are worth measuring.

    The list begins with those that tell the model most about the device.
    """
    from latency_predictor.measure import programs
    from latency_predictor.measure.kit import device_named

    source, slug = programs.find(space), device_named(device)
    numbers = Choice(n, model, random, seed).numbers(source, slug)
    return {
        "device": slug,
        "architectures": [
            {"id": source.identify(number), "architecture": source.describe(number)}
            for number in numbers
        ],
    }
