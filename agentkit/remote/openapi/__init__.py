"""Tools from the description of an HTTP service."""

__all__: list[str] = []
