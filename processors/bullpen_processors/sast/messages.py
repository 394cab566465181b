"""Messages between windows: to whom they go, and whether anybody looks at where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bullpen_processors.sast.scopes import Call
from bullpen_processors.sast.spots import HARMLESS, Look, Spot

_ORIGIN_CHECK: Final = re.compile(
    r"origin\b[\w.()\s]{0,40}(?:[!=]==?)|[!=]==?[\w.\s]{0,40}\.origin|(?:includes|test|has|indexOf|exec|match|contains|switch|\w*[oO]rigin\w*|\w*[aA]llow\w*|\w*[tT]rust\w*)"
    r"\s*\(\s*[\w.]{0,40}origin\b|origin\s*\.\s*(?:startsWith|endsWith|includes|match|indexOf|search)|\.source\s*[!=]==?|[!=]==?\s*\w+\.source\b"
    r"|\[\s*\w+\.origin\s*\]|origin\s+in\s"
)


class Messages(Look):
    """Looks at what sends and what receives."""

    def spots(self) -> Iterator[Spot]:
        """Yield every spot."""
        for call in self.page.calls:
            if call.name == "postMessage":
                yield from self._posted(call)
        yield from self._messages()

    def _posted(self, call: Call) -> Iterator[Spot]:
        own = self.flows.links.functions(call.callee)
        if len(call.texts) > 1 and call.texts[1] == "*" and not own:
            yield self.spot("postmessage-wildcard", call, 0, "" if self._window(call) else HARMLESS, "medium")

    def _window(self, call: Call) -> bool:
        """Tell whether a message goes to a window: a worker or a port has no origin to name."""
        return "orker" not in self.receiver_text(call) and "port" not in self.receiver_text(call).lower()

    def _messages(self) -> Iterator[Spot]:
        for node, rule in self.flows.origins.handed:
            if rule.origin != "message":
                continue
            function, at = node
            tree = self.units[at.unit].tree
            syntax = function.syntax
            if syntax is None or not function.parameters:
                continue
            text = tree.source[syntax.start_byte : min(syntax.end_byte, syntax.start_byte + 20_000)].decode(
                "utf-8", "replace"
            )
            used = ".data" in text or "data" in text.partition(")")[0]
            if used:
                yield self.spot("postmessage-origin", at, 0, HARMLESS if _ORIGIN_CHECK.search(text) else "", "medium")
