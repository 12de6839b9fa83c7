# The service with the shipped models, and nothing that it does not need at run time.
# docs/operations.md says how to run it.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY pyproject.toml constraints.txt ./
# The newer pip knows build constraints and dependency groups. The environment that goes into the
# image has none: this one fills it from outside.
RUN python -m venv /tools \
 && /tools/bin/pip install --quiet --constraint constraints.txt pip \
 && python -m venv --without-pip /app/venv
# Dependencies first: they change less often than the code.
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > requirements.txt \
 && /tools/bin/pip --python /app/venv/bin/python install --quiet \
      --only-binary :all: --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY service service
COPY model_export model_export
RUN /tools/bin/pip --python /app/venv/bin/python install --quiet --no-deps \
      --build-constraint constraints.txt .
# The bill of materials is written before anything is cut away: what is left is a part of it.
RUN /tools/bin/pip install --quiet --constraint constraints.txt --group sbom \
 && /tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
      --output-format JSON --output-file /app/sbom.cdx.json /app/venv/bin/python
# 60 MB that no request touches: tests of the libraries, tools for training and conversion, and the
# C library of ONNX Runtime, which its Python module contains once more.
WORKDIR /app/venv/lib/python3.11/site-packages
RUN rm -r onnxruntime/capi/libonnxruntime.so.* onnxruntime/datasets onnxruntime/quantization \
      onnxruntime/tools onnxruntime/transformers numpy/f2py numpy/distutils \
 && find numpy -type d -name tests -prune -exec rm -r {} +
COPY docker/healthcheck.py LICENSE /app/
COPY models /models
# Whatever the checkout's umask was.
RUN chmod -R a+rX /app /models

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="seq2serve" \
      org.opencontainers.image.description="Translation models on ONNX Runtime, served over REST" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=builder /app /app
COPY --from=builder /models /models
# ONNX Runtime reports its use to its makers unless this is set before it is loaded.
ENV ORT_DISABLE_TELEMETRY=1
# The first translation of an image is made here: one that cannot translate is not built. As root, so
# that Python keeps the compiled modules of its own library; later nobody can write any.
RUN /app/venv/bin/seq2serve translate --models /models --to ko "Good morning." \
 && /app/venv/bin/seq2serve openapi > /dev/null \
 && /app/venv/bin/python -c 'import http.client, uvicorn.protocols.http.httptools_impl, uvloop'
# A new volume that is mounted here belongs to the user of the image, too.
RUN install --directory --owner=10001 --group=10001 /data
ENV PATH=/app/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SEQ2SERVE_HOST=0.0.0.0 \
    SEQ2SERVE_PORT=8000 \
    SEQ2SERVE_MODELS=/models
WORKDIR /app
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
  CMD ["python", "-S", "-E", "/app/healthcheck.py"]
ENTRYPOINT ["seq2serve"]
CMD ["serve"]
