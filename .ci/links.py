"""Links of a built web site that lead nowhere: ``python .ci/links.py build/site/html``.

Only what is inside the folder is looked at: files that pages name, and places within pages.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What one page asks for, and the places within it that links may name."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.places: set[str] = set()
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keep what the tag names."""
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.targets.add(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.places.add(value or "")


def broken(folder: Path) -> list[str]:
    """One sentence for each link of the pages in ``folder`` that leads nowhere."""
    folder = folder.resolve()
    page = cache(Page)
    found = []
    # Themes keep templates in _static, which nobody opens.
    for file in sorted(set(folder.rglob("*.html")) - set(folder.glob("_static/**/*"))):
        for target in sorted(page(file).targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            where = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            name, place = file.relative_to(folder), unquote(parts.fragment)
            if not where.is_relative_to(folder):
                found.append(f"{name}: {target} leads out of the site")
            elif not where.is_file():
                found.append(f"{name}: {target} is not there")
            elif place and where.suffix == ".html" and place not in page(where).places:
                found.append(f"{name}: {target} names a place that is not in {where.name}")
    return found


def main() -> int:
    """Print what is broken; exit status 1 if anything is."""
    folder = Path(sys.argv[1])
    found = broken(folder)
    print("\n".join([*found, f"{len(found)} broken links in {folder}"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
