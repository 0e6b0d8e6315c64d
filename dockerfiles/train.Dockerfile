# train, evaluate and test.  Build from the repository's root:
#   docker build -f dockerfiles/train.Dockerfile -t sightline/train-python3.11:0.1.0 .
ARG PYTHON=3.11-slim-bookworm
FROM python:${PYTHON}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt pyproject.toml README.md LICENSE /src/
COPY shared /src/shared
RUN pip install --no-cache-dir --constraint /src/constraints.txt "/src[vision,gcs,mysql,kfp,tracking]"
# SIGHTLINE_HOME is where the pipeline mounts the work volume (components/__init__.py).
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp SIGHTLINE_HOME=/var/lib/sightline
USER 1000:1000
