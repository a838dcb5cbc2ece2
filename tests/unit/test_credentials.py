"""Keys, kinds of credentials, and what a node gets of them."""

import pytest
from cryptography.fernet import Fernet

from forms.base import BaseForm
from forms.fields import CredentialField
from nodes.base import BlockingNode
from nodes.testing import driven
from orchestrator.exceptions import CredentialsClosed, NodeFailed, WorkflowInvalid
from orchestrator.security import keyring, secret_values
from orchestrator.security.credentials import (
    KINDS,
    Credential,
    Credentials,
    Sealed,
    fingerprint,
    problems,
    secrets_of,
)
from orchestrator.security.keyring import Keyring, new_key

ONE, TWO = new_key(), new_key()
SECRET = "s3cret-s3cret"


class LoginForm(BaseForm):
    login = CredentialField(kinds=("bearer",))
    other = CredentialField(required=False)


class Greeter(BlockingNode):
    identifier = "greeter"
    form_class = f"{__name__}.LoginForm"

    async def execute(self, item):
        credential = await self.credential(item.data.get("field", "login"))
        return item.with_data({"kind": credential.kind, "length": len(credential.values["token"])})


def test_the_first_key_seals_and_each_opens():
    old, new = Keyring([ONE]), Keyring([TWO, ONE])
    sealed = old.seal("a", {"token": SECRET})
    assert SECRET not in sealed
    assert new.open("a", sealed) == {"token": SECRET}
    rotated = new.rotated(sealed)
    assert Keyring([TWO]).open("a", rotated) == {"token": SECRET}
    with pytest.raises(CredentialsClosed):
        old.open("a", rotated)
    with pytest.raises(CredentialsClosed):
        Keyring([TWO]).rotated(sealed)


def test_a_ciphertext_is_good_for_its_own_row_only():
    ring = Keyring([ONE])
    with pytest.raises(CredentialsClosed, match="for another credential"):
        ring.open("b", ring.seal("a", {"token": SECRET}))


@pytest.mark.parametrize("keys", [[], ["short"], [ONE, "x" * 44], ["schlüssel"], [ONE[:-2]]])
def test_keys_that_are_none_are_refused_without_being_told(keys):
    with pytest.raises(CredentialsClosed) as error:
        Keyring(keys)
    assert not any(key in str(error.value) for key in keys)


def test_keys_come_from_the_variable_or_a_file(tmp_path):
    name = keyring.VARIABLE
    file = tmp_path / "keys"
    file.write_text(f"{ONE}\n{TWO}\n")
    assert keyring.given({}) == []
    assert keyring.given({name: f"{TWO}, {ONE}", f"{name}_FILE": str(file)}) == [TWO, ONE]
    assert keyring.given({f"{name}_FILE": str(file)}) == [ONE, TWO]
    with pytest.raises(CredentialsClosed):
        keyring.given({f"{name}_FILE": str(tmp_path / "none")})
    assert len(Fernet(new_key())._encryption_key) == 16


GOOD = {
    "http-basic": {"username": "ada", "password": SECRET},
    "bearer": {"token": SECRET},
    "header": {"name": "X-Key", "value": SECRET},
    "database-url": {"url": f"postgresql://ada:{SECRET}@db/shop"},
    "smtp": {"host": "mail", "port": "587", "username": "ada", "password": SECRET},
    "generic": {"anything": SECRET},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_values_and_its_secrets(kind):
    assert problems(kind, GOOD[kind]) == []
    assert SECRET in secrets_of(kind, GOOD[kind])
    assert fingerprint(kind, GOOD[kind]) == "cret"
    assert "ada" not in secrets_of(kind, GOOD[kind])


@pytest.mark.parametrize(
    ("kind", "values", "path"),
    [
        ("ftp", {}, "kind"),
        ("bearer", {}, "values"),
        ("bearer", None, "values"),
        ("bearer", {"token": ""}, "values.token"),
        ("bearer", {"token": 5}, "values.token"),
        ("bearer", {"token": "12345"}, "values.token"),
        ("bearer", {"token": "a\0bcdef"}, "values.token"),
        ("bearer", {"token": "\ud800abcdef"}, "values.token"),
        ("bearer", {"token": "x" * 9000}, "values.token"),
        ("bearer", {"token": SECRET, "more": SECRET}, "values.more"),
        ("http-basic", {"password": SECRET}, "values.username"),
        ("database-url", {"url": "not a url"}, "values.url"),
        ("database-url", {"url": "redis://:12345@host/0"}, "values.url"),
        ("smtp", {"host": "mail", "port": "70000"}, "values.port"),
        ("smtp", {"host": "mail", "security": "some"}, "values.security"),
        ("generic", {"": SECRET}, "values."),
        ("generic", dict.fromkeys(map(str, range(51)), SECRET), "values"),
    ],
)
def test_wrong_values_are_named_and_not_told(kind, values, path):
    found = problems(kind, values)
    assert [problem.path for problem in found] == [path]
    assert SECRET not in found[0].message


def test_the_password_of_a_database_url_is_a_secret_of_its_own():
    found = secrets_of("database-url", {"url": "postgresql://ada:p%40ss%2Fword@db/shop"})
    assert found == ["p@ss/word", "postgresql://ada:p%40ss%2Fword@db/shop"]


def test_nothing_is_shown_of_short_secrets_or_of_several():
    assert fingerprint("bearer", {"token": "12345678901"}) == ""
    assert fingerprint("generic", {"a": SECRET, "b": SECRET}) == ""
    assert fingerprint("smtp", {"host": "mail"}) == ""


def test_neither_a_credential_nor_its_ciphertext_is_in_a_repr():
    sealed = Sealed(id="a", kind="bearer", sealed="cipher")
    assert "cipher" not in repr(sealed)
    assert SECRET not in repr(Credential("bearer", {"token": SECRET}))


def test_what_is_opened_is_registered_and_opened_once():
    opened = []

    def decrypt(owner, sealed):
        opened.append((owner, sealed))
        return {"token": "another-secret-of-mine"}

    credentials = Credentials({"x": Sealed(id="1", kind="bearer", sealed="c")}, decrypt)
    assert secret_values.scrub("another-secret-of-mine") == "another-secret-of-mine"
    assert credentials.open("x") is credentials.open("x")
    assert opened == [("1", "c")]
    assert secret_values.scrub("another-secret-of-mine") == "[redacted]"
    with pytest.raises(CredentialsClosed, match="'y' is not at hand here"):
        credentials.open("y")


async def test_a_node_gets_the_credential_that_its_field_names():
    there = {"shop": Credential("bearer", {"token": SECRET})}
    async with driven(Greeter, {"login": "shop"}, credentials=there) as run:
        assert await run.data({}) == {"kind": "bearer", "length": len(SECRET)}
        with pytest.raises(NodeFailed, match="other names no credential"):
            await run.data({"field": "other"})
        assert run.node.credential_names() == {"login": "shop"}


async def test_a_node_whose_order_came_without_it_says_so():
    node_form = {"login": "shop"}
    with pytest.raises(WorkflowInvalid, match="There is no credential of this name"):
        async with driven(Greeter, node_form):
            pass
    with pytest.raises(WorkflowInvalid, match="is of the kind smtp"):
        async with driven(Greeter, node_form, credentials={"shop": Credential("smtp", {})}):
            pass
