FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DATA_DIR=/data
RUN useradd --system --create-home --uid 10001 orchestrator \
    && install -d -o orchestrator -g orchestrator -m 700 /data
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
USER orchestrator
VOLUME /data
EXPOSE 8000

# The web process; docker-compose.yml runs the other parts of the system from the same image.
CMD ["uvicorn", "config.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "20", "--ws-max-size", "65536", "--no-proxy-headers", \
     "--ws", "orchestrator.runtime.web_socket:PatientSocket", "--ws-per-message-deflate", "false"]
