"""Settings for every test, notebooks included."""


def pytest_collectstart(collector):
    # Progress bars and warnings go to stderr, with rates and temporary paths in them: a
    # notebook's stored stderr can never repeat.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
