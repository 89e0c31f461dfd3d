"""The iPhone of each hardware id: `iPhone17,1` is an iPhone 16 Pro.

The ids are the values of `hw.machine` on the phones. Their names are listed at
https://theapplewiki.com/wiki/Models.
"""

_HARDWARE = {
    "9,1 9,3": "iPhone 7",
    "9,2 9,4": "iPhone 7 Plus",
    "10,1 10,4": "iPhone 8",
    "10,2 10,5": "iPhone 8 Plus",
    "10,3 10,6": "iPhone X",
    "11,2": "iPhone XS",
    "11,4 11,6": "iPhone XS Max",
    "11,8": "iPhone XR",
    "12,1": "iPhone 11",
    "12,3": "iPhone 11 Pro",
    "12,5": "iPhone 11 Pro Max",
    "12,8": "iPhone SE 2",
    "13,1": "iPhone 12 mini",
    "13,2": "iPhone 12",
    "13,3": "iPhone 12 Pro",
    "13,4": "iPhone 12 Pro Max",
    "14,2": "iPhone 13 Pro",
    "14,3": "iPhone 13 Pro Max",
    "14,4": "iPhone 13 mini",
    "14,5": "iPhone 13",
    "14,6": "iPhone SE 3",
    "14,7": "iPhone 14",
    "14,8": "iPhone 14 Plus",
    "15,2": "iPhone 14 Pro",
    "15,3": "iPhone 14 Pro Max",
    "15,4": "iPhone 15",
    "15,5": "iPhone 15 Plus",
    "16,1": "iPhone 15 Pro",
    "16,2": "iPhone 15 Pro Max",
    "17,1": "iPhone 16 Pro",
    "17,2": "iPhone 16 Pro Max",
    "17,3": "iPhone 16",
    "17,4": "iPhone 16 Plus",
    "17,5": "iPhone 16e",
    "18,1": "iPhone 17 Pro",
    "18,2": "iPhone 17 Pro Max",
    "18,3": "iPhone 17",
    "18,4": "iPhone Air",
}
_NAMES = {f"iphone{number}": name for ids, name in _HARDWARE.items() for number in ids.split()}


def phone_name(product_type: str) -> str | None:
    """Name of the phone with a hardware id: `iPhone 16 Pro` for `iPhone17,1`, None if unknown.

    The id may be written in any case.
    """
    return _NAMES.get(product_type.lower())
