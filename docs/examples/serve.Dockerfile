# A model behind HTTP, on the CPU. In the folder of this repository:
#
#   docker build -f docs/examples/serve.Dockerfile -t resnext-serve .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/runs/pets:/model:ro" -e RESNEXT_TOKEN="$(openssl rand -hex 24)" resnext-serve
#
# `docker stop -t 20` lets it answer what it has accepted.
FROM python:3.12-slim
COPY . /src
# torch for the CPU takes 0.2 GB. Take the address that pytorch.org's "Get started" shows for it.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} torch && \
    pip install --no-cache-dir -c /src/constraints.txt '/src[serve,fast,heif]' && \
    useradd --system --create-home resnext
USER resnext
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready')"]
ENTRYPOINT ["resnext", "serve", "model=/model", "--host", "0.0.0.0", "--port", "8000"]
