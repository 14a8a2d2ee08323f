"""Coverage-guided fuzzing, with atheris (of the dev extra): bytes to pixels, bytes to a model.

    python tests/fuzz/run.py pictures FOLDER -runs=500000 -seed=1 -timeout=20 -rss_limit_mb=2048
    python tests/fuzz/run.py checkpoints FOLDER -runs=500000 -seed=1 -timeout=20

FOLDER keeps what was found to be new; it is seeded with a small file of each kind. libFuzzer
reports a crash, a hang, or too much memory, writes the input that caused it, and fails.
What whole pictures mean is tried by `COLORLAB_PICTURES=200000 pytest tests/data/test_reading.py`.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "safetensors", "colorlab", "json"]):
    import corpus
    import targets
    from PIL import Image

    from colorlab.data import reading

    Image.init()  # imports every format's module, so that all are instrumented

# Being watched slows the decoders written in Python tenfold.
reading.MOST_PIXELS_SLOW = 2**16


def main() -> None:
    """Seed the corpus folder and fuzz what the first argument names."""
    what = sys.argv.pop(1)
    seeds, target = {
        "pictures": (corpus.pictures, targets.picture),
        "checkpoints": (corpus.checkpoints, targets.checkpoint),
    }[what]
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in seeds().items():
        (folder / f"seed-{kind}").write_bytes(content)
    atheris.Setup(sys.argv, lambda data: target(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
