# Student code in a container: no network, no rights, a limit to all it uses. In the repository:
#
#   docker build -t colorlab-grade -f .ci/grade.Dockerfile .
#   mkdir -p grades && docker run --rm --network none --read-only --tmpfs /tmp:exec,size=4g \
#     --cap-drop ALL --security-opt no-new-privileges --memory 10g --pids-limit 512 \
#     --user "$(id -u):$(id -g)" -v "$PWD/submissions:/submissions:ro" -v "$PWD/hidden:/hidden:ro" \
#     -v "$PWD/grades:/grades" colorlab-grade /submissions -o /grades --hidden /hidden --quick
#
# Landlock confines student code inside it too, where the host's Linux has it: without Landlock the
# code could still read the hidden checks and the solutions, and write in /grades.
FROM python:3.12-slim
WORKDIR /course
COPY pyproject.toml README.md LICENSE LICENSE-prose constraints.txt ./
COPY colorlab colorlab
COPY data/README.md data/ab-photos-val.json data/
COPY data/checkpoints data/checkpoints
COPY data/old-photos data/old-photos
COPY data/results data/results
COPY notebooks notebooks
# Of one version pip takes the file with a local part, torch-N+cpu: no CUDA in the image.
RUN pip install --no-cache-dir -e . -c constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu
# The sets of scenes that most lessons use, so that no notebook has to draw them.
RUN python -c 'from colorlab.data.scenes import scene_set as draw; \
    draw(3600, split="train"), draw(300, split="val"), draw(512, split="test")'
ENV HOME=/tmp
ENTRYPOINT ["colorlab", "grade"]
