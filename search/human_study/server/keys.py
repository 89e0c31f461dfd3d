"""Links and names that cannot be guessed, all derived from one secret of the study."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from search.human_study.manifest import StudyError

FILE = "secret.key"
TOKEN_BYTES = 24
"""Random bytes of a link: 192 bits."""


@dataclass(frozen=True)
class Keys:
    """The secret of a study."""

    secret: bytes

    @classmethod
    def of(cls, folder: Path) -> Keys:
        """The secret in a study's folder, made on first use. Only its owner can read the file.

        Raises StudyError if the file is damaged, and OSError if it cannot be read or written.
        """
        path = folder / FILE
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            secret = path.read_bytes()
            if len(secret) != 32:
                raise StudyError(
                    f"{path}: is not a secret of 32 bytes; restore it from a copy, or delete it, "
                    "which makes new links for the organiser and for joining"
                ) from None
            return cls(secret)
        with os.fdopen(file, "wb") as opened:
            secret = secrets.token_bytes(32)
            opened.write(secret)
            opened.flush()
            os.fsync(opened.fileno())
        return cls(secret)

    def invitation(self) -> str:
        """Token of the link by which anyone can join."""
        return self._derived("invitation")

    def organiser(self) -> str:
        """Token of the organiser's link."""
        return self._derived("organiser")

    def csrf(self, token: str) -> str:
        """The token that a page of the link `token` sends back with every change."""
        return self._derived("csrf", token)

    def picture(self, trial: str, role: str) -> str:
        """Name of a picture of a trial in addresses, which tells nothing about its codec.

        It depends on the trial, so that nobody can recognise a picture of an earlier trial by it.
        """
        return self._derived("picture", trial, role)

    def _derived(self, *words: str) -> str:
        text = "\0".join(words).encode()
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()[:48]


def new_token() -> str:
    """A random token for the link of a participant."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What is stored of a participant's token."""
    return hashlib.sha256(token.encode()).hexdigest()
