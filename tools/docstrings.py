"""What mkdocstrings asks as it reads a docstring: our line of errors is a sentence, and no list of Google's kind."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Sentences(griffe.Extension):
    """Marks up "Raises: …" before it is taken for the head of a section."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of what was read."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Raises: ", "**Raises:** ", obj.docstring.value)
