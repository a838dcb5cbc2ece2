"""Unit tests have no database: forms know of no credentials unless a test says so."""

import pytest

from forms.fields import CredentialField


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    monkeypatch.setattr(CredentialField, "known", staticmethod(dict))
