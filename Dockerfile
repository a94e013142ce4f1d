# docker build -t genre_lib .
# docker run -p 127.0.0.1:8000:8000 -v genre_models:/var/lib/genre/models -v genre_runs:/var/lib/genre/runs genre_lib
# docker run --rm genre_lib keys create ann        # any other command of `genre`, too
#
# Settings are environment variables, as in .env.example. Keys and passwords may come as a file instead, which no
# `docker inspect` shows: -v "$PWD/.env:/app/.env:ro", readable for the user 1000.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# A job outlives the server that started it: somebody has to wait for it when it ends, and tini does, with or without --init.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app

# What is installed depends on these two files alone, so that a change of the sources downloads nothing. It is compiled
# here, for whoever runs the image may not write beside it: every process would compile what it imports, for seconds.
COPY pyproject.toml constraints.txt ./

# Empty: PyTorch as the package index has it, on x86-64 with CUDA's libraries, 6 GB in all; runs without a GPU, too.
# `--build-arg TORCH_BACKEND=cpu`: PyTorch's own index, without CUDA, where that can be reached.
ARG TORCH_BACKEND=
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}" \
    && uv pip install --system --no-cache --compile-bytecode ${TORCH_BACKEND:+--torch-backend "${TORCH_BACKEND}"} \
       --constraint constraints.txt --requirement pyproject.toml

COPY README.md LICENSE NOTICE ./
COPY genre_lib ./genre_lib
# In place, for the settings take the starter and the notebooks from beside the package.
RUN uv pip install --system --no-cache --no-deps --editable . \
    && python -m compileall -q genre_lib
COPY pretrained ./pretrained
COPY notebooks ./notebooks
COPY experiments ./experiments

# 1000 is most often who owns the folders of a desktop, so that mounted ones can be written.
RUN useradd --create-home --uid 1000 genre \
    && install --directory --owner=genre --group=genre \
       /var/lib/genre /var/lib/genre/models /var/lib/genre/runs /var/lib/genre/cache /music
USER genre

ENV HOST=0.0.0.0 \
    PORT=8000 \
    MODELS_PATH=/var/lib/genre/models \
    RUNS_PATH=/var/lib/genre/runs \
    CACHE_PATH=/var/lib/genre/cache \
    FINE_TUNE_DATA_PATH=/music
VOLUME ["/var/lib/genre/models", "/var/lib/genre/runs", "/var/lib/genre/cache"]
EXPOSE 8000

# Not through a proxy that the environment may name; 503 while the worker starts is an error for urllib.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ['PORT']}/health\", timeout=8)"]

# The server ends requests in flight first, for which it takes ten seconds: docker stop --time 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "genre"]
CMD ["serve"]
