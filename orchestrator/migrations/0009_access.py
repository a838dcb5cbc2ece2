"""Rights, scopes of tokens, tickets of sockets, counts of logins, and the audit log."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "orchestrator_auditentry"
MESSAGE = "the audit log is never changed"

SQLITE = [
    f"CREATE TRIGGER {TABLE}_{verb} BEFORE {verb} ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    for verb in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    f"CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; "
    "END $$",
    f"CREATE TRIGGER {TABLE}_append BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
    f"FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()",
]


def add_triggers(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    for statement in {"sqlite": SQLITE, "postgresql": POSTGRESQL}.get(vendor, ()):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("orchestrator", "0008_webhooks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Action",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={"managed": False, "default_permissions": (), "verbose_name": "action"},
        ),
        migrations.AddField(
            model_name="apitoken",
            name="scopes",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="SocketTicket",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("session_key", models.CharField(blank=True, max_length=40)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "token",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orchestrator.apitoken",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LoginCount",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("since", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("actor_id", models.BigIntegerField(db_index=True, null=True)),
                ("actor", models.CharField(max_length=150)),
                ("action", models.CharField(db_index=True, max_length=64)),
                ("object", models.CharField(blank=True, db_index=True, max_length=300)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("address", models.CharField(blank=True, max_length=64)),
                ("agent", models.CharField(blank=True, max_length=200)),
                ("token", models.CharField(blank=True, max_length=16)),
            ],
            options={
                "db_table": TABLE,
                "ordering": ("-id",),
                "default_permissions": ("view",),
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
            },
        ),
        migrations.RunPython(add_triggers, migrations.RunPython.noop, elidable=False),
        # Only in Django's eyes: `flush` leaves alone what it does not manage.
        migrations.AlterModelOptions(
            name="auditentry",
            options={
                "managed": False,
                "ordering": ("-id",),
                "default_permissions": ("view",),
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
            },
        ),
    ]
