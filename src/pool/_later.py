"""What is loaded when it is first used: the names of a module, and the loggers."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

__all__ = ["lazy", "logger"]


def lazy(module: str, **homes: str) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """Return the ``__getattr__`` and ``__dir__`` of a module some of whose names are loaded later.

    Parameters:
        module: the name of the module.
        homes: the module in which each such name is at home.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
        home = homes[name]
        __import__(home)
        found: object = getattr(sys.modules[home], name)
        setattr(sys.modules[module], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return find, names


class _LaterLogger:
    """Stands for a logger: ``logging`` takes a while to import, and who makes no pool needs none."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        from logging import getLogger

        return getattr(getLogger(self._name), attribute)


if TYPE_CHECKING:

    def logger(name: str) -> Logger: ...

else:
    logger = _LaterLogger
