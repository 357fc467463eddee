"""What a page must have for people who cannot see it, use no mouse, or read it at twice the size."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

EMPTY = frozenset({"input", "meta", "link", "br", "img", "hr", "path", "rect", "circle", "line"})
NAMED = ("aria-labelledby", "aria-describedby", "aria-errormessage", "aria-controls", "for", "list")
UNTYPED = {"hidden", "checkbox", "radio", "submit", "file"}
HEADINGS = ("h1", "h2", "h3", "h4")


class Outline(HTMLParser):
    """The elements of a page, each with its attributes and all text inside it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given, texts = {name: value or "" for name, value in attrs}, list[str]()
        self.elements.append((tag, given, texts))
        if tag == "img":
            self.handle_data(given.get("alt", ""))
        if tag not in EMPTY:
            self._open.append((tag, texts))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, texts in self._open:
            texts.append(data)

    def every(self, *tags: str) -> list[tuple[dict[str, str], str]]:
        """The (attributes, text) of each element with one of these tags."""
        return [
            (given, " ".join("".join(texts).split())) for tag, given, texts in self.elements if tag in tags
        ]


def barriers(html: str) -> list[str]:
    """What a page lacks, one line each."""
    page = Outline(html)
    ids = Counter(given["id"] for _, given, _ in page.elements if "id" in given)
    found = [f"the id {one} is there {count} times" for one, count in ids.items() if count > 1]
    found += [
        f"{tag} {name}={word} leads nowhere"
        for tag, given, _ in page.elements
        for name in NAMED
        for word in given.get(name, "").split()
        if word not in ids
    ]
    labels = {given.get("for", "") for given, text in page.every("label") if text}
    found += [
        f"the field {given.get('name')} has no label"
        for given, _ in page.every("input", "select", "textarea")
        if given.get("type") != "hidden"
        and "hidden" not in given
        and given.get("id", "") not in labels
        and not given.get("aria-label")
    ]
    found += [
        f"a {kind} without words: {given}"
        for kind in ("a", "button", "th", "legend", "summary", "caption", "title", "h1", "h2", "h3")
        for given, text in page.every(kind)
        if not (text or given.get("aria-label"))
    ]
    found += [
        f"a heading of a table without scope: {text}"
        for given, text in page.every("th")
        if "scope" not in given
    ]
    found += ["a picture without alt" for given, _ in page.every("img") if "alt" not in given]
    found += ["a drawing without a name" for given, _ in page.every("svg") if not given.get("aria-label")]
    found += [
        f"the page is in {given.get('lang')}"
        for given, _ in page.every("html")
        if given.get("lang") != "en-US"
    ]
    found += [f"Enter in a field chooses {names[0]}" for names in _hasty(page)]
    levels = [int(tag[1]) for tag, _, _ in page.elements if tag in HEADINGS]
    if levels.count(1) != 1:
        found.append(f"{levels.count(1)} headings of the page")
    found += [
        f"h{last} is followed by h{now}"
        for last, now in zip([0, *levels], levels, strict=False)
        if now > last + 1
    ]
    found += ["tabindex above 0" for _, given, _ in page.elements if int(given.get("tabindex", "0")) > 0]
    if len(page.every("main")) != 1:
        found.append("no one main part")
    regions = [given for _, given, _ in page.elements if given.get("tabindex") == "0"]
    found += ["a part to scroll without a name" for given in regions if not given.get("aria-label")]
    return found


def _hasty(page: Outline) -> list[list[str]]:
    """Forms with a text field and several different buttons of which none is marked as the default (go).

    Enter in the field would press the first button.
    """
    forms: list[list[tuple[str, dict[str, str], str]]] = [[]]
    for one in page.elements:
        if one[0] == "form":
            forms.append([])
        forms[-1].append((one[0], one[1], "".join(one[2]).strip()))
    found = []
    for form in forms[1:]:
        buttons = [(given, text) for tag, given, text in form if tag == "button"]
        typed = [tag for tag, given, _ in form if tag == "input" and given.get("type", "text") not in UNTYPED]
        choices = [text for given, text in buttons if given.get("name")]
        first = buttons[0][0] if buttons else {}
        if typed and len(choices) > 1 and "disabled" not in first and "go" not in first.get("class", ""):
            found.append(choices)
    return found
