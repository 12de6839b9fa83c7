# model-export with PyTorch: trains, exports, verifies and evaluates. The service does not need it.
#   docker build --file docker/exporter.Dockerfile --tag seq2serve-export:0.1.0 .
#   docker run --rm --user "$(id -u)" --volume "$PWD:/data" seq2serve-export:0.1.0 verify models/NAME
# The PyTorch on PyPI brings libraries for GPUs, some gigabytes; PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS
# can name a place that has one for CPUs only.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python -m venv /tools \
 && /tools/bin/pip install --quiet --constraint constraints.txt pip \
 && python -m venv --without-pip /app/venv \
 && /tools/bin/pip --python /app/venv/bin/python install --quiet --constraint constraints.txt torch
COPY README.md LICENSE ./
COPY service service
COPY model_export model_export
RUN /tools/bin/pip --python /app/venv/bin/python install --quiet \
      --constraint constraints.txt --build-constraint constraints.txt '.[export]'

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="seq2serve-export" \
      org.opencontainers.image.description="Trains translation models and exports them to ONNX" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /app /app
ENV PATH=/app/venv/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
USER 10001:10001
ENTRYPOINT ["model-export"]
CMD ["--help"]
