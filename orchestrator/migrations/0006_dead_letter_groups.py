"""Dead letters of the same error get the same fingerprint, those that are there as well."""

import re
from hashlib import sha256

from django.db import migrations, models

_PART = 1000
_FIELDS = ("workflow_id", "node_id", "reason", "error_type", "message")
_TOKEN = re.compile(r"""[^\s'"`(){}\[\]<>,;:=]+""")


def _masked(found):
    token = found[0]
    return token if not re.search(r"\d", token) or re.fullmatch(r"[45]\d\d", token) else "#"


def fingerprint(workflow, node_id, reason, error_type, message):
    """As `orchestrator.runtime.dead_groups` made it when this migration was written."""
    shape = _TOKEN.sub(_masked, message[:1000].strip().partition("\n")[0])
    parts = "\0".join((workflow, node_id, reason, error_type, shape))
    return sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def give_fingerprints(apps, schema_editor):
    letters = apps.get_model("orchestrator", "DeadLetter").objects.using(
        schema_editor.connection.alias
    )
    after = 0
    while part := list(letters.filter(pk__gt=after).order_by("pk").only(*_FIELDS)[:_PART]):
        for letter in part:
            letter.fingerprint = fingerprint(*(getattr(letter, name) for name in _FIELDS))
        letters.bulk_update(part, ["fingerprint"])
        after = part[-1].pk


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0005_workers")]

    operations = [
        migrations.AddField(
            model_name="deadletter",
            name="fingerprint",
            field=models.CharField(blank=True, default="", max_length=32),
            preserve_default=False,
        ),
        migrations.RunPython(give_fingerprints, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                fields=["status", "fingerprint", "workflow", "dead_at"],
                name="dead_letters_by_error",
            ),
        ),
    ]
