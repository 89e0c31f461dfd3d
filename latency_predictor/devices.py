"""Which phones there are, which chip each has, and how a user names one.

A device is a phone and the compute unit that runs the network: `iphone13` is an iPhone 13 on the
Neural Engine (Core ML's compute unit ALL), `iphone11pro-gpu` an iPhone 11 Pro on its GPU. Phones
with the same chip share one calibration, `a15-ane` say; any other machine has its own, and
`local_cpu` is the processor of this one.
Chips: https://github.com/hollance/neural-engine (docs/supported-devices.md, MIT).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

UNITS = ("ane", "gpu", "cpu")
DEFAULT_DEVICE = "iphone13"
LOCAL_CPU = "local_cpu"

_PHONES_BY_CHIP = {
    "a10": "iPhone 7, iPhone 7 Plus",
    "a11": "iPhone 8, iPhone 8 Plus, iPhone X",
    "a12": "iPhone XR, iPhone XS, iPhone XS Max",
    "a13": "iPhone 11, iPhone 11 Pro, iPhone 11 Pro Max, iPhone SE 2",
    "a14": "iPhone 12, iPhone 12 mini, iPhone 12 Pro, iPhone 12 Pro Max",
    "a15": "iPhone 13, iPhone 13 mini, iPhone 13 Pro, iPhone 13 Pro Max, iPhone SE 3, "
    "iPhone 14, iPhone 14 Plus",
    "a16": "iPhone 14 Pro, iPhone 14 Pro Max, iPhone 15, iPhone 15 Plus",
    "a17pro": "iPhone 15 Pro, iPhone 15 Pro Max",
    "a18": "iPhone 16, iPhone 16 Plus, iPhone 16e",
    "a18pro": "iPhone 16 Pro, iPhone 16 Pro Max",
    "a19": "iPhone 17",
    "a19pro": "iPhone Air, iPhone 17 Pro, iPhone 17 Pro Max",
}
_NO_NEURAL_ENGINE = {"a10", "a11"}
"""Chips whose Neural Engine, if any, Core ML does not use."""

NEURAL_ENGINES = tuple(chip for chip in _PHONES_BY_CHIP if chip not in _NO_NEURAL_ENGINE)
"""Chips on whose Neural Engine Core ML runs programs, oldest first."""


def slug(name: str) -> str:
    """`iPhone 12 Pro Max` and `iphone-12_pro max` are both `iphone12promax`; `+` is `plus`."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))


CHIPS = {
    slug(phone): chip for chip, phones in _PHONES_BY_CHIP.items() for phone in phones.split(", ")
}
"""Chip of each phone, by slug."""


class UnknownDevice(ValueError):
    """A device name that has no calibration."""

    def __init__(self, device: str, calibrated: Collection[str]) -> None:
        near = get_close_matches(device.lower(), list(calibrated), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        engines = (name for name in calibrated if not name.endswith(("-gpu", "-cpu")))
        super().__init__(
            f"device {device!r} has no calibration{hint}; known: {', '.join(sorted(engines))}, "
            "some with -gpu or -cpu; `python -m latency_predictor kit` begins to add one"
        )


def calibration_key(device: str) -> str | None:
    """`a15-ane` for `iphone13`, `iPhone 13` and `iphone14-ane`, `local-cpu` for `local_cpu`.

    None for a phone that cannot run Core ML on that unit.
    """
    machine, unit = _split(device)
    chip = CHIPS.get(machine, machine)
    return None if unit == "ane" and chip in _NO_NEURAL_ENGINE else f"{chip}-{unit}"


def devices_of(keys: Collection[str]) -> tuple[str, ...]:
    """Every device name that one of these calibrations serves."""
    own = {key.rpartition("-")[0] for key in keys} - set(CHIPS.values())
    names = (
        f"{machine}{suffix}"
        for machine in (*CHIPS, *sorted(own))
        for suffix in ("", *(f"-{unit}" for unit in UNITS[1:]))
    )
    return tuple(
        LOCAL_CPU if calibration_key(name) == calibration_key(LOCAL_CPU) else name
        for name in names
        if calibration_key(name) in keys
    )


def _split(device: str) -> tuple[str, str]:
    """Slug of the machine, and its unit: the Neural Engine where none is named."""
    match = re.fullmatch(rf"(.+)[-_ ]({'|'.join(UNITS)})", device.lower())
    return (slug(match[1]), match[2]) if match else (slug(device), "ane")


def unit_of(compute_unit: str) -> str | None:
    """The unit that runs a Core ML program given the setting a source states.

    Core ML's default is ALL, so an unstated unit counts as the Neural Engine. None for
    runtimes that are not Core ML's own.
    """
    setting = compute_unit.lower()
    if "executorch" in setting or "pipelined" in setting:
        return None
    if setting.startswith(("all", "ane", "cpu_and_ne", "unspecified")) or not setting:
        return "ane"
    if setting in ("gpu", "cpu_and_gpu"):
        return "gpu"
    return "cpu" if setting in ("cpu", "cpu_only") else None


def device_of(phone: str, compute_unit: str) -> str:
    """Device name of a profile row, whether or not it is calibrated."""
    if calibration_key(phone) == calibration_key(LOCAL_CPU):
        return LOCAL_CPU
    unit = unit_of(compute_unit)
    name, _ = _split(phone)
    return name if unit == "ane" else f"{name}-{unit or 'other'}"
