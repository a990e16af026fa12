# gmbench in a container. CPU (default):
#   docker build -t gmbench .
#   docker run --rm -v "$PWD/work:/work" gmbench run
# CUDA: the same file on an image that holds Python 3.11 or newer and torch
#   docker build -t gmbench:cuda --build-arg BASE=pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime .
#   docker run --rm --gpus all -v "$PWD/work:/work" gmbench:cuda run trainer.accelerator=gpu
ARG BASE=python:3.12-slim
FROM ${BASE}

# An index of CPU-only torch wheels spares some gigabytes: --build-arg TORCH_INDEX=ADDRESS
ARG TORCH_INDEX=""
ARG EXTRAS="regions"

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE

WORKDIR /opt/gmbench
COPY pyproject.toml README.md LICENSE ./
COPY gmbench gmbench
COPY models models
COPY experiments experiments
COPY hydra_plugins hydra_plugins
COPY conf conf
# Versions are those of pyproject.toml.
# hadolint ignore=DL3013
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[${EXTRAS}]"

# Whoever starts it owns what it writes: docker run --user "$(id -u)" ...
WORKDIR /work
ENV HOME=/tmp
ENTRYPOINT ["gmbench"]
CMD ["--help"]
