from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0004_graphs")]

    operations = [
        migrations.CreateModel(
            name="WorkerSlot",
            fields=[
                ("slot", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("token", models.PositiveBigIntegerField(default=0)),
                ("worker", models.CharField(blank=True, max_length=200)),
                ("host", models.CharField(blank=True, max_length=100)),
                ("pid", models.PositiveIntegerField(default=0)),
                ("concurrency", models.PositiveIntegerField(default=1)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("active", models.PositiveIntegerField(default=0)),
                ("processed", models.PositiveBigIntegerField(default=0)),
                ("failed", models.PositiveBigIntegerField(default=0)),
                ("retried", models.PositiveBigIntegerField(default=0)),
                ("seconds", models.FloatField(default=0.0)),
            ],
            options={"ordering": ("slot",)},
        ),
        migrations.AddConstraint(
            model_name="workerslot",
            constraint=models.UniqueConstraint(
                condition=models.Q(("worker", ""), _negated=True),
                fields=("worker",),
                name="one_slot_per_worker",
            ),
        ),
    ]
