import pytest

from latency_predictor.devices import (
    CHIPS,
    DEFAULT_DEVICE,
    UnknownDevice,
    calibration_key,
    device_of,
    devices_of,
    unit_of,
)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("iphone13", "a15-ane"),
        ("iPhone 13", "a15-ane"),
        ("iPhone 12 Pro Max", "a14-ane"),
        ("iphone11pro-gpu", "a13-gpu"),
        ("iPhone 7+", None),  # no Neural Engine
        ("iphone7plus-cpu", "a10-cpu"),
        ("local_cpu", "local-cpu"),
        ("iPad Pro M4", "ipadprom4-ane"),
        ("macbook-m2-gpu", "macbookm2-gpu"),
    ],
)
def test_names_lead_to_a_calibration(name: str, key: str | None) -> None:
    assert calibration_key(name) == key


def test_phones_of_one_chip_share_a_calibration() -> None:
    assert {phone for phone in CHIPS if calibration_key(phone) == "a14-ane"} == {
        "iphone12", "iphone12mini", "iphone12pro", "iphone12promax",
    }  # fmt: skip


def test_every_listed_device_leads_back() -> None:
    keys = {"a15-ane", "a13-gpu", "local-cpu", "ipadprom4-ane"}
    assert DEFAULT_DEVICE in devices_of(keys)
    assert {calibration_key(device) for device in devices_of(keys)} == keys


@pytest.mark.parametrize(
    ("setting", "unit"),
    [
        ("ALL", "ane"),
        ("ALL (ModelBench app)", "ane"),
        ("CPU_AND_NE", "ane"),
        ("ANE", "ane"),
        ("", "ane"),
        ("unspecified", "ane"),
        ("CPU_AND_GPU", "gpu"),
        ("GPU", "gpu"),
        ("CPU_ONLY", "cpu"),
        ("ExecuTorch Core ML delegate", None),
        ("ANE/accelerator + CPU (pipelined)", None),
        ("toaster", None),
    ],
)
def test_compute_unit_settings(setting: str, unit: str | None) -> None:
    assert unit_of(setting) == unit


def test_device_of_a_row() -> None:
    assert device_of("iPhone 11 Pro", "CPU_ONLY") == "iphone11pro-cpu"
    assert device_of("iPhone 13", "ALL (ANE)") == "iphone13"
    assert device_of("local_cpu", "CPU_ONLY") == "local_cpu"


def test_unknown_device_suggests_the_nearest() -> None:
    message = str(UnknownDevice("ifone13", ["iphone13", "iphone11pro-gpu"]))
    assert message.startswith("device 'ifone13' has no calibration; did you mean 'iphone13'?")
    assert "known: iphone13;" in message
    for word in ("-gpu", "-cpu", "`python -m latency_predictor kit`"):
        assert word in message
