# JupyterLab with the course on port 8888, and the web site of the lessons on port 8000:
#
#   docker build -t colorlab .
#   docker run --rm -p 127.0.0.1:8888:8888 -p 127.0.0.1:8000:8000 colorlab
#
# JupyterLab prints its address, with a token. What you change in the container goes with it: to keep
# your notebooks, add -v "$PWD/notebooks:/course/notebooks" and --user "$(id -u):$(id -g)".
FROM node:22-bookworm-slim AS site
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
WORKDIR /course
COPY site site
RUN python3 -m venv build/site-env && build/site-env/bin/pip install --no-cache-dir -r site/requirements.txt
COPY . .
RUN build/site-env/bin/python .ci/site.py build/site

FROM python:3.12-slim
WORKDIR /course
COPY . .
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu \
    -c constraints.txt && pip install --no-cache-dir -e . -c constraints.txt
COPY --from=site /course/build/site/html build/site/html
# Notebooks write beside themselves and into data/, whoever runs the container.
RUN chmod -R a+rwX notebooks data
ENV HOME=/tmp
USER 1000
EXPOSE 8000 8888
CMD ["sh", "-c", "python -m http.server 8000 --directory build/site/html & \
    exec jupyter lab --ip=0.0.0.0 --port=8888 --no-browser \
    --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
