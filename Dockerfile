# One image a process, so that the public one holds nothing of the others: `--target receiver`, `--target worker`.
# Pin PYTHON_IMAGE by digest where you deploy; the lock files pin everything above it, with hashes.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv tools && tools/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY countersign/ countersign/
COPY receiver/ receiver/
COPY workers/ workers/
RUN tools/bin/python -m hatchling build --target wheel

FROM build AS receiver-environment
RUN python -m venv --without-pip /opt/countersign \
 && pip --python /opt/countersign/bin/python install --no-cache-dir --require-hashes -r requirements/receiver.txt \
 && pip --python /opt/countersign/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl

FROM build AS worker-environment
RUN python -m venv --without-pip /opt/countersign \
 && pip --python /opt/countersign/bin/python install --no-cache-dir --require-hashes -r requirements/worker.txt \
 && pip --python /opt/countersign/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl

# What runs: Python, one environment, a user without rights, and nothing that could build or install more.
FROM ${PYTHON_IMAGE} AS process
RUN python -m pip uninstall --quiet --yes pip \
 && groupadd --gid 10001 countersign \
 && useradd --uid 10001 --gid countersign --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin countersign
ENV PATH=/opt/countersign/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["countersign"]

FROM process AS receiver
COPY --from=receiver-environment /opt/countersign /opt/countersign
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=2)"]
CMD ["receiver", "--host", "0.0.0.0", "--port", "8080"]

# Also for the one-off `migrate`, and for the commands that show and verify the ledger.
FROM process AS worker
COPY --from=worker-environment /opt/countersign /opt/countersign
ENV COUNTERSIGN_METRICS_HOST=0.0.0.0 COUNTERSIGN_METRICS_PORT=9090
EXPOSE 9090
# The process that keeps the workers answers here; a worker that ends is replaced by it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9090/metrics', timeout=2)"]
CMD ["worker"]
