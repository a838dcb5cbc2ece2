# One image for every role: web, runner, worker, migrate. docker-compose.yml and deploy/k8s name the
# command of each. PYTHON_IMAGE may be given by its digest, for a build that is the same next year.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
       --require-hashes -r requirements.lock

FROM ${PYTHON_IMAGE}
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DATA_DIR=/data HEALTH_FILE=/tmp/orchestrator.alive
RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid orchestrator --home-dir /data --no-create-home orchestrator \
    && install -d -o orchestrator -g orchestrator -m 700 /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py ./
COPY config config
COPY storage storage
COPY forms forms
COPY nodes nodes
COPY orchestrator orchestrator
COPY examples examples
# A checkout of somebody's own umask is read by another account here.
RUN chmod -R a+rX . && python -m compileall -q --invalidation-mode unchecked-hash .
USER 10001:10001
VOLUME /data
EXPOSE 8000
CMD ["python", "manage.py", "web", "--host", "0.0.0.0"]
