"""`ahead`: what comes next is made while what came before is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
_END: Any = object()


def ahead(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    """The items of an iterator, which one thread makes before they are asked for.

    Args:
        items: What makes them. An error that it raises is raised in the place of its item.
        count: How many are made ahead, at least 1.

    Yields:
        Each item, in order. Close the generator, and the thread ends with the item that it makes.

    >>> list(ahead(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        waiting = deque(thread.submit(next, items, _END) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, items, _END))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)
