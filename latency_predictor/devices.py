"""Phones, the chips that they contain, and the device names that a user writes.

A device is a machine and the compute unit that runs the network: `iphone13` is an iPhone 13 on its
Neural Engine (Core ML's compute unit ALL), and `iphone11pro-gpu` is an iPhone 11 Pro on its GPU.
`local_cpu` is the processor of the computer that runs this program. A calibration holds the
constants of one chip and compute unit, for example `a15-ane`, so phones with the same chip share
it. A machine that is not a phone has calibrations of its own.

A new phone needs an entry in `_PHONES_BY_CHIP` below, and one for its hardware id in
`latency_predictor/measure/phones.py`. If its chip is new, `latency_predictor/model/priors.py` may
state the chip's throughput and memory bandwidth; otherwise it uses defaults. No code reads
`latency_predictor/profiles/chips.csv`. It records published figures of chips with their sources,
and the Neural Engines' throughputs in `priors.py` were derived from it.

Chips: https://github.com/hollance/neural-engine (docs/supported-devices.md, MIT).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from latency_predictor.errors import UserError

UNITS = ("ane", "gpu", "cpu")
DEFAULT_DEVICE = "iphone13"
LOCAL_CPU = "local_cpu"

_SETTINGS = {
    "all": "ALL",
    "cpuandne": "CPU_AND_NE",
    "cpune": "CPU_AND_NE",
    "cpuandneuralengine": "CPU_AND_NE",
    "cpuneuralengine": "CPU_AND_NE",
    "ane": "CPU_AND_NE",
    "ne": "CPU_AND_NE",
    "neuralengine": "CPU_AND_NE",
    "appleneuralengine": "CPU_AND_NE",
    "cpuandgpu": "CPU_AND_GPU",
    "cpugpu": "CPU_AND_GPU",
    "gpu": "CPU_AND_GPU",
    "cpuonly": "CPU_ONLY",
    "cpu": "CPU_ONLY",
}
"""Core ML's compute units, by their names in coremltools, Swift, Xcode and common use, in lower
case and without punctuation. Core ML has no setting for the Neural Engine or the GPU alone."""
_UNIT_OF_SETTING = {"ALL": "ane", "CPU_AND_NE": "ane", "CPU_AND_GPU": "gpu", "CPU_ONLY": "cpu"}

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
"""Chips without a Neural Engine that Core ML uses."""

NEURAL_ENGINES = tuple(chip for chip in _PHONES_BY_CHIP if chip not in _NO_NEURAL_ENGINE)
"""Chips with a Neural Engine that Core ML uses, oldest first."""


def slug(name: str) -> str:
    """Canonical form of a name: letters and digits in lower case, with `plus` for `+`.

    `iPhone 12 Pro Max` and `iphone-12_pro max` both become `iphone12promax`.
    """
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))


CHIPS = {
    slug(phone): chip for chip, phones in _PHONES_BY_CHIP.items() for phone in phones.split(", ")
}
"""Chip of each phone, by the phone's slug: `iphone13` is mapped to `a15`."""


class UnknownDevice(UserError):
    """The device has no calibration."""

    def __init__(self, device: str, calibrated: Collection[str]) -> None:
        near = get_close_matches(device.lower(), list(calibrated), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        engines = (name for name in calibrated if not name.endswith(("-gpu", "-cpu")))
        super().__init__(
            f"device {device!r} has no calibration{hint}; known: {', '.join(sorted(engines))}; "
            "some of them also with -gpu or -cpu. To add a device, start with "
            "`python -m latency_predictor kit`"
        )


def calibration_key(device: str) -> str | None:
    """Name of the calibration that covers a device: its chip and its compute unit.

    `iphone13`, `iPhone 13` and `iphone14-ane` give `a15-ane`; `local_cpu` gives `local-cpu`.
    Returns None for the Neural Engine of a phone on which Core ML uses none.
    """
    machine, unit = _split(device)
    chip = CHIPS.get(machine, machine)
    return None if unit == "ane" and chip in _NO_NEURAL_ENGINE else f"{chip}-{unit}"


def devices_of(keys: Collection[str]) -> tuple[str, ...]:
    """Names of all devices that the calibrations `keys` cover."""
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


def setting_of(text: str) -> str | None:
    """Core ML's compute-unit setting by its name in coremltools, from any of its usual names.

    `MLComputeUnits.cpuOnly` gives `CPU_ONLY`, and `Neural Engine` gives `CPU_AND_NE`. No text gives
    `ALL`, which is Core ML's default. Returns None for an unknown name.
    """
    name = re.sub(r"^[\w.]*\.(?=[A-Za-z_]+$)", "", text.strip())
    return _SETTINGS.get(re.sub(r"[^a-z0-9]", "", name.lower())) if name else "ALL"


def split_device(device: str) -> tuple[str, str | None]:
    """The name of the machine in a device's name, and the compute-unit setting that follows it.

    `iPhone 13 (Neural Engine)` gives `iPhone 13` and `CPU_AND_NE`; `iPhone 13` gives itself and
    None.
    """
    for gap in re.finditer(r"[-_ (]+", device):
        setting = setting_of(device[gap.end() :]) if device[gap.end() :] else None
        if setting and gap.start():
            return device[: gap.start()], setting
    return device, None


def machine_and_setting(device: str, compute_unit: str) -> tuple[str, str]:
    """The machine and the compute-unit setting of a measurement, from the two cells of its row.

    The cell of the device may state the setting too, as in `iPhone 13 (GPU)`, or nothing else. The
    machine is empty if no cell states it. Raises UserError if the cells disagree.
    """
    machine, setting = split_device(device)
    if device and setting_of(device):
        machine, setting = "", setting_of(device)
    if setting is None or slug(device) == slug(LOCAL_CPU):
        return device, compute_unit
    if compute_unit and unit_of(compute_unit) != _UNIT_OF_SETTING[setting]:
        raise UserError(f"device {device!r} and compute_unit {compute_unit!r} disagree")
    return machine, compute_unit or setting


def _split(device: str) -> tuple[str, str]:
    """Slug of the machine, and its compute unit; the default is the Neural Engine."""
    machine, setting = split_device(device)
    return slug(machine), _UNIT_OF_SETTING[setting or "ALL"]


def unit_of(compute_unit: str) -> str | None:
    """The unit (`ane`, `gpu` or `cpu`) that runs a Core ML program with a compute-unit setting.

    `compute_unit` is the setting as the source of a measurement states it. An unstated setting
    counts as the Neural Engine, because Core ML's default is ALL. Returns None for an unknown
    setting and for runtimes other than Core ML itself.
    """
    if setting := setting_of(compute_unit):
        return _UNIT_OF_SETTING[setting]
    described = slug(compute_unit)
    if "executorch" in described or "pipelined" in described:
        return None
    engine = ("all", "ane", "cpuandne", "neuralengine", "unspecified")
    return "ane" if described.startswith(engine) else None


def device_of(phone: str, compute_unit: str) -> str:
    """Device name of a profile row, from the row's phone and compute-unit setting.

    The name ends in `-other` if `unit_of` gives None. The device need not be calibrated.
    """
    if calibration_key(phone) == calibration_key(LOCAL_CPU):
        return LOCAL_CPU
    unit = unit_of(compute_unit)
    name, _ = _split(phone)
    return name if unit == "ane" else f"{name}-{unit or 'other'}"
