"""Coverage-guided fuzzing of the checkpoint loader, with atheris (of the dev extra).

    python tests/fuzz/fuzz_checkpoints.py FOLDER -runs=500000 -seed=1 -timeout=20 -rss_limit_mb=2048

FOLDER keeps what was found to be new; it is seeded with a small model of each kind. libFuzzer
reports a crash, a hang, or too much memory, writes the input that caused it, and fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["safetensors", "colorlab", "json"]):
    import corpus
    import targets


def main() -> None:
    """Seed the corpus folder, which is the first argument, and fuzz."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in corpus.checkpoints().items():
        (folder / f"seed-{kind}").write_bytes(content)
    atheris.Setup(sys.argv, lambda data: targets.checkpoint(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
