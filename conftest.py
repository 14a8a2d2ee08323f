"""Settings for every test, notebooks included."""

import os

# A progress bar shows once only, on the first run: a notebook's stored output cannot have it.
os.environ["TQDM_DISABLE"] = "1"


def pytest_collectstart(collector):
    # Warnings go to stderr, with temporary paths in them: a notebook's stored stderr can never
    # repeat.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
