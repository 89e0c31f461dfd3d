"""The shapes of a model's inputs: those that its file states and those that the user chooses."""

from __future__ import annotations

from collections.abc import Sequence

from latency_predictor.errors import UserError
from latency_predictor.networks.recorder import TensorShape
from latency_predictor.printable import printable

OpenShape = tuple[int | None, ...]
"""A shape whose sides of None may have any length."""


class UnreadableModel(UserError):
    """A file is not a model of its format, or a model whose ops cannot be listed."""


def chosen_shapes(
    model: str, names: Sequence[str], stated: Sequence[OpenShape], chosen: Sequence[TensorShape]
) -> list[TensorShape]:
    """The shape of each input; the user chose the first of them, in order, as `chosen`.

    An open first side that the user does not choose is 1, a batch of one. Raises UserError if
    another side is left open, or if a chosen shape contradicts a stated one.
    """
    if len(chosen) > len(names):
        raise UserError(
            f"{printable(model)}: has {len(names)} inputs ({', '.join(map(printable, names))}), "
            f"but --input was given {len(chosen)} times"
        )
    shapes = []
    for number, (name, sides) in enumerate(zip(names, stated, strict=True)):
        if number < len(chosen):
            shape = chosen[number]
            if not _fits(sides, shape):
                raise UserError(
                    f"{printable(model)}: input '{printable(name)}' has the shape {_text(sides)}, "
                    f"not {_text(shape)}"
                )
        else:
            shape = tuple(side or (1 if place == 0 else 0) for place, side in enumerate(sides))
        if not all(shape):
            raise UserError(
                f"{printable(model)}: input '{printable(name)}' has the open shape "
                f"{_text(sides)}; state it, for example --input 1x3x224x224"
            )
        shapes.append(shape)
    return shapes


def _fits(stated: OpenShape, shape: TensorShape) -> bool:
    return len(stated) == len(shape) and all(
        side in (None, other) for side, other in zip(stated, shape, strict=True)
    )


def _text(shape: OpenShape) -> str:
    return "x".join("?" if side is None else str(side) for side in shape) or "of one number"
