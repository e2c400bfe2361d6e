"""What the scripts of this folder write into pages: their tables stand between two marks, and replace the old ones."""

from __future__ import annotations

from pathlib import Path

from heist_encoders.files import write_atomically


def put(page: Path, name: str, text: str) -> None:
    """Put ``text`` between ``<!-- name -->`` and ``<!-- end of name -->``; a page without them stays as it is."""
    if not page.exists():
        return
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(start)
    _, ended, after = rest.partition(end)
    if found and ended:
        write_atomically(page, f"{before}{start}\n\n{text}\n\n{end}{after}")
