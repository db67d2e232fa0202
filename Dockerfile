# The platform on a CPU: web page, supervisor and runners in one container.
#   docker compose up        then open http://127.0.0.1:8501
# For torch's small CPU build, give an index that has it: docker build --build-arg LATHE_TORCH_INDEX=URL .
FROM python:3.11-slim-bookworm

ARG LATHE_TORCH_INDEX=""
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1

# git: provenance of a job; bubblewrap: the sandbox of user-written rewards; tini: reaps what a killed supervisor leaves.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make git bubblewrap openssh-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 lathe \
    && install -d -o lathe -g lathe /opt/lathe /workspace

USER lathe
WORKDIR /opt/lathe

# The packages first: this layer is built anew only when a pin or the set-up itself changes.
COPY --chown=lathe:lathe requirements.txt requirements-dev.txt requirements-verl.txt constraints.txt Makefile ./
COPY --chown=lathe:lathe tools/bootstrap.py tools/pip_install.py tools/progress.py tools/system_packages.py tools/
RUN LATHE_TORCH_INDEX="$LATHE_TORCH_INDEX" make setup
COPY --chown=lathe:lathe . .

ENV PLATFORM_HOME=/workspace PATH=/opt/lathe/.venv/bin:$PATH
VOLUME /workspace
EXPOSE 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["tini", "--"]
CMD ["lathe", "serve", "--host", "0.0.0.0", "--port", "8501"]
