# Two stages: wheels are built and installed in the first, only the environment is taken over.
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse --short=12 HEAD) -t reputation-sidecar:0.1.0 .
ARG PYTHON=3.13.9-slim-bookworm

FROM python:${PYTHON} AS build
# The repository is not here to tell it; `git describe --tags` does, without the v.
ARG VERSION=0.1.0
# `git rev-parse --short=12 HEAD`; reputation_build_info shows it.
ARG REVISION=image
# 0 leaves the hot path to the interpreter (docs/adr/0021).
ARG COMPILED=1
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION} \
    BUILD_REVISION=${REVISION}
WORKDIR /build
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv /opt/sidecar \
 && /opt/sidecar/bin/pip install --require-hashes -r requirements/run.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements/run.txt -r requirements/build.txt
COPY hatch_build.py pyproject.toml README.md LICENSE ./
COPY domain domain
COPY exporters exporters
COPY sidecar sidecar
RUN SIDECAR_COMPILED=${COMPILED} /opt/build/bin/python -m hatchling build -t wheel \
 && /opt/sidecar/bin/pip install --no-index --no-deps dist/*.whl

FROM python:${PYTHON}
RUN useradd --system --uid 10001 --home-dir /data sidecar \
 && install -d -m 0700 -o sidecar -g sidecar /data
COPY --from=build /opt/sidecar /opt/sidecar
ENV PATH=/opt/sidecar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SIDECAR_DATA_DIR=/data \
    TMPDIR=/data
# TMPDIR: SQLite sorts on disk what is large, and `sidecar demo` keeps its data there; the root is read-only.
USER sidecar
VOLUME /data
EXPOSE 8080 8081 9464
# Readiness needs no token; other ports are up when it answers.
HEALTHCHECK --interval=5s --timeout=3s --retries=6 \
  CMD ["python", "-c", "import os, urllib.request; port = os.environ.get('SIDECAR_ADMIN_LISTEN', '127.0.0.1:9464').rsplit(':', 1)[1]; urllib.request.urlopen(f'http://127.0.0.1:{port}/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["sidecar", "run"]
