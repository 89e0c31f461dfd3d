"""Print text that may contain names of files: every command prints names with this module."""

from __future__ import annotations

import re

_ESCAPED_BYTE = re.compile(r"(?<!\\)((?:\\\\)*)\\udc([89a-f][0-9a-f])")
"""A byte of a name that is not UTF-8, in the form in which `repr` shows it."""
_PASSWORDS = re.compile(r"(?i)(?<=://)([^:/@\s]*:)\S*(?=@)|([?&][^=&\s]*pass[^=&\s]*=)[^&\s]*")
"""A password in a URL: before its `@`, or as a parameter such as `?password=`."""


def printable(text: object) -> str:
    r"""The text of an object as one line that a terminal can show.

    Control characters, line breaks, invisible characters and bytes that are not UTF-8 are escaped:
    the name `b"caf\xe9\n"` becomes `caf\xe9\n`, each escape with its backslash. All other text is
    returned unchanged.
    """
    shown = _ESCAPED_BYTE.sub(r"\1\\x\2", str(text))
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in shown)


def without_passwords(text: str) -> str:
    """The text with `***` in place of the passwords in its URLs."""
    return _PASSWORDS.sub(lambda found: f"{found[1] or found[2]}***", text)


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # Python decodes a byte that is not UTF-8 to 0xDC00 plus the byte
    if 0x80 <= byte <= 0xFF:
        return f"\\x{byte:02x}"
    return letter.encode("unicode_escape").decode()
