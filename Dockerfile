# The page and its server, as the README's two commands make them; written to those, and not built where it was written.
#   docker build -t cascade-zero123 .                                                  for a CPU
#   docker build -t cascade-zero123 --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .    for CUDA
#   docker run -p 127.0.0.1:7860:7860 -e CASCADE_TOKEN=<16 characters or more> -v "$PWD/outputs:/srv/outputs" cascade-zero123
# Then open http://127.0.0.1:7860/?token=<the token>. Inside a container nothing comes from loopback, so a token is needed.
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_EXTRA_INDEX_URL=${TORCH_INDEX} PIP_NO_CACHE_DIR=1 PORT=7860
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*

WORKDIR /srv
COPY . .
RUN make setup-app

EXPOSE 7860
VOLUME /srv/outputs
CMD [".venv/bin/python", "app.py", "--host", "0.0.0.0"]
