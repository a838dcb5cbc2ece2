"""The keys under which credentials are kept: the first encrypts, all of them decrypt.

What is sealed names the row that it belongs to, so that no ciphertext is good in the place of
another. No error has a key or a value in it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from orchestrator.exceptions import CredentialsClosed

VARIABLE = "ORCHESTRATOR_CREDENTIAL_KEYS"


def new_key() -> str:
    """Make a key."""
    return Fernet.generate_key().decode()


def given(environment: Mapping[str, str]) -> list[str]:
    """Return the keys of the environment: in the variable, or in the file that `_FILE` names.

    Raises:
        CredentialsClosed: the file cannot be read.
    """
    text, file = environment.get(VARIABLE, ""), environment.get(f"{VARIABLE}_FILE", "")
    if not text.strip() and file:
        try:
            text = Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise CredentialsClosed(f"{VARIABLE}_FILE names a file that cannot be read") from None
    return text.replace(",", " ").split()


class Keyring:
    """Seals and opens values.

    Raises:
        CredentialsClosed: there is no key, or one is none.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        found = []
        for number, key in enumerate(keys, 1):
            try:
                found.append(Fernet(key))
            except (ValueError, TypeError):
                raise CredentialsClosed(
                    f"key {number} of {VARIABLE} is none: it needs 32 bytes in URL-safe base64"
                ) from None
        if not found:
            raise CredentialsClosed(f"there are no keys for credentials: set {VARIABLE}")
        self._first, self._all = found[0], MultiFernet(found)

    def seal(self, owner: str, values: Mapping[str, str]) -> str:
        """Encrypt values for the row with this id."""
        return self._first.encrypt(orjson.dumps({"id": owner, "values": dict(values)})).decode()

    def open(self, owner: str, sealed: str) -> dict[str, str]:
        """Return the values of a row.

        Raises:
            CredentialsClosed: no key fits, or they belong to another row.
        """
        try:
            found = orjson.loads(self._all.decrypt(sealed))
        except (InvalidToken, ValueError):
            raise CredentialsClosed(f"no key of {VARIABLE} opens it") from None
        if found["id"] != owner:
            raise CredentialsClosed("it was sealed for another credential")
        return dict(found["values"])

    def rotated(self, sealed: str) -> str:
        """Return the same, under the first key.

        Raises:
            CredentialsClosed: no key fits.
        """
        try:
            return self._all.rotate(sealed).decode()
        except InvalidToken:
            raise CredentialsClosed(f"no key of {VARIABLE} opens it") from None
