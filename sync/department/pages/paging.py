"""Long lists: one page of rows at a time, only the rows that contain a text, links to the other pages.

The page's address and every form on it say which page of which list is shown, so that the same rows are shown
after a refused form, a form kept at a lock, and an accepted form. No column that holds plates is searched,
but people type plates anyway. Because browsers and proxies keep addresses, the text to find is sent as a form
and kept in memory, and the address only has a random name for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from sync.department.pages import shield
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError

ROWS = 100
LONGEST_FIND = 80
FIND_PATH = "/find"
MOST_PARTS = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[T]):
    """One page of a list.

    `name`: the list's name, and its place on the page; `first`: the number of the first row, from 1; `count`:
    how many rows of `of` contain `find`; `before`, `after`, `start`, `end`: addresses of other pages, or
    empty; `others`: the other parts of the address, which the form to find something keeps.
    """

    rows: Sequence[T]
    name: str
    first: int
    count: int
    of: int
    find: str = ""
    before: str = ""
    after: str = ""
    start: str = ""
    end: str = ""
    others: str = ""

    @property
    def long(self) -> bool:
        """Whether there are more rows than this page shows."""
        return self.of > ROWS


def cut(
    visit: Visit,
    rows: Sequence[T],
    name: str,
    *,
    key: Callable[[T], object] = lambda _row: None,
    texts: Callable[[T], Iterable[str]] | None = None,
) -> ListPage[T]:
    """The page of `rows` that the address or the form names, at most the last one.

    `key`: the value of a row by which the address may name it (`at`), to show its page; `texts`: a row's
    texts to search in.
    """
    find = visit.sought(name) if texts is not None else ""
    fitting = rows
    if find and texts is not None:
        wanted = find.casefold()
        fitting = [row for row in rows if any(wanted in text.casefold() for text in texts(row))]
    last = max(0, len(fitting) - 1) // ROWS
    page = min(_page(visit.turned.get(f"page-{name}", "")), last)
    at = visit.request.query_params.get("at", "")
    if at and f"page-{name}" not in visit.turned:
        page = next((place // ROWS for place, row in enumerate(fitting) if str(key(row)) == at), page)

    def address(number: int) -> str:
        others = [(one, value) for one, value in _kept(visit) if one != f"page-{name}"]
        return "?" + urlencode([*others, (f"page-{name}", str(number + 1))]) + f"#{name}"

    return ListPage(
        rows=fitting[page * ROWS : (page + 1) * ROWS],
        name=name,
        first=page * ROWS + 1,
        count=len(fitting),
        of=len(rows),
        find=find,
        before=address(page - 1) if page else "",
        after=address(page + 1) if page < last else "",
        start=address(0) if page > 1 else "",
        end=address(last) if page < last - 1 else "",
        others=urlencode([one for one in _kept(visit) if one[0] not in {f"page-{name}", f"find-{name}"}]),
    )


async def send_find(visit: Visit) -> Response:
    """Keep a text to find in memory, and show its list again. Raises FormError."""
    values = visit.values
    name, text = values.text("list"), values.text("sought")[:LONGEST_FIND]
    try:
        parts = parse_qsl(values.get("others", ""), keep_blank_values=True, max_num_fields=MOST_PARTS)
    except ValueError:
        raise FormError("others: too many parts of an address", code="others", clause="463.5") from None
    if not name.isascii() or not name.replace("-", "").isalnum():
        raise FormError("list: no such list", code="list", clause="463.5")
    if text:
        parts.append((f"find-{name}", visit.shelf.keep_find(text)))
    path = shield.local_path(values.get("from", "/")).partition("?")[0]
    return visit.to(f"{path}?{urlencode(parts)}#{name}")


PAGES = (Page(path=FIND_PATH, send=send_find),)


def _page(text: str) -> int:
    """A page number as typed, from 0."""
    return max(0, int(text) - 1) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _kept(visit: Visit) -> list[tuple[str, str]]:
    """The filters in the address and the pages of its lists, without the row that it names."""
    own = [one for one in visit.request.query_params.multi_items() if one[0] != "at"]
    return [*(one for one in own if one[0] not in visit.turned), *visit.turned.items()]
