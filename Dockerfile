# docker build -t genre_lib . && docker run -p 8000:8000 genre_lib
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY genre_lib ./genre_lib
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --constraint constraints.txt --editable .
COPY serve.py ./
COPY pretrained ./pretrained
COPY notebooks ./notebooks
COPY experiments ./experiments
RUN useradd --create-home genre && mkdir -p models data experiments/runs \
    && chown -R genre models data experiments
USER genre
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import httpx; httpx.get('http://127.0.0.1:8000/health').raise_for_status()"]
CMD ["python", "serve.py"]
