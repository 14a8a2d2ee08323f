"""Coverage-guided fuzzing of the way from bytes to pixels, with atheris (of the dev extra).

    python tests/fuzz/fuzz_pictures.py FOLDER -runs=500000 -seed=1 -timeout=20 -rss_limit_mb=2048

FOLDER keeps what was found to be new; it is seeded with a small file of each kind. libFuzzer
reports a crash, a hang, or too much memory, writes the input that caused it, and fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "colorlab.data"]):
    import corpus
    import targets
    from PIL import Image

    from colorlab.data import reading

    Image.init()  # imports every format's module, so that all are instrumented

# Being watched slows the decoders written in Python tenfold.
reading.MOST_PIXELS_SLOW = 2**16


def main() -> None:
    """Seed the corpus folder, which is the first argument, and fuzz."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in corpus.pictures().items():
        (folder / f"seed-{kind}").write_bytes(content)
    atheris.Setup(sys.argv, lambda data: targets.picture(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
