# syntax=docker/dockerfile:1
# One image for every part; docker-compose.yml gives each its command.
FROM python:3.12-slim AS build
# PyPI's build of PyTorch needs CUDA; pass TORCH=cpu for the small CPU build.
ARG TORCH=""
WORKDIR /srv/hilum
COPY requirements*.txt ./
COPY tools/bootstrap.py tools/bootstrap.py
RUN HILUM_VENV=/opt/venv python tools/bootstrap.py

FROM python:3.12-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HILUM_ENV=production HILUM_DATA=/var/lib/hilum
# `manage.py backup` and `restore` use pg_dump and pg_restore.
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/hilum --create-home hilum \
    && install --directory --owner hilum --mode 0700 /var/backups/hilum
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/hilum
COPY manage.py pyproject.toml LICENSE ./
COPY classifier classifier
COPY worker worker
COPY webapp webapp
COPY templates templates
COPY static static
COPY artifacts artifacts
COPY deploy/gunicorn.conf.py deploy/gunicorn.conf.py
# Production settings require their secrets; collecting static files uses none of them.
RUN SECRET_KEY=none ALLOWED_HOSTS=none DATABASE_URL=sqlite:////tmp/none HILUM_DATA=/tmp/build \
    python manage.py collectstatic --noinput && rm -rf /tmp/build
USER hilum
VOLUME /var/lib/hilum /var/backups/hilum
EXPOSE 8000
