"""An HTTP client that stands in front of another: what an SDK is given in place of its own."""

from __future__ import annotations

from typing import Any


class Face:
    """A client's face with another client behind it: state and settings are the other's."""

    _inner: Any

    def __init__(self, inner: Any) -> None:
        # The library's own constructor is left out on purpose: it would build a second pool.
        self._inner = inner
        self._closed = False
        self.build_request = inner.build_request

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def is_closed(self) -> bool:
        return self._closed or bool(self._inner.is_closed)


def closed() -> RuntimeError:
    return RuntimeError("this client has been closed; get another one")


def face(kind: type[Face], inner: Any) -> Any:
    """The class to make a face of this kind of, for this client."""
    library = _library_class(type(inner))
    if (kind, library) not in _classes:
        _classes[kind, library] = type(f"{kind.__name__}{library.__name__}", (kind, library), {})
    return _classes[kind, library]


def _library_class(cls: type) -> type:
    # An SDK insists on an instance of its own library's client, httpx's or httpx2's, and takes
    # either in some versions: follow the client that is there.
    return next(
        base
        for base in cls.__mro__
        if base.__name__ in ("Client", "AsyncClient")
        and base.__module__.partition(".")[0] in ("httpx", "httpx2")
    )


_classes: dict[tuple[type, type], Any] = {}
