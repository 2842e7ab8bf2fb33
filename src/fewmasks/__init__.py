"""fewmasks trains a good segmentation model from few masks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fewmasks.api import create as create
    from fewmasks.api import open as open
    from fewmasks.api import serve as serve
    from fewmasks.api import simulate as simulate
    from fewmasks.config import Config as Config
    from fewmasks.errors import FewmasksError as FewmasksError
    from fewmasks.learn.scenes import predict_files as predict_files
    from fewmasks.learn.session import next_round as next_round
    from fewmasks.learn.session import train as train
    from fewmasks.pretrain.session import pretrain as pretrain
    from fewmasks.project import Project as Project
    from fewmasks.query.strategy import Strategy as Strategy
    from fewmasks.types import UNKNOWN as UNKNOWN
    from fewmasks.types import Item as Item
    from fewmasks.types import Label as Label

_HOME = {
    "create": ("fewmasks.api", "create"),
    "open": ("fewmasks.api", "open"),
    "train": ("fewmasks.learn.session", "train"),
    "next_round": ("fewmasks.learn.session", "next_round"),
    "predict_files": ("fewmasks.learn.scenes", "predict_files"),
    "pretrain": ("fewmasks.pretrain.session", "pretrain"),
    "serve": ("fewmasks.api", "serve"),
    "simulate": ("fewmasks.api", "simulate"),
    "Config": ("fewmasks.config", "Config"),
    "FewmasksError": ("fewmasks.errors", "FewmasksError"),
    "Item": ("fewmasks.types", "Item"),
    "Label": ("fewmasks.types", "Label"),
    "Project": ("fewmasks.project", "Project"),
    "Strategy": ("fewmasks.query.strategy", "Strategy"),
    "UNKNOWN": ("fewmasks.types", "UNKNOWN"),
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    # Lazily, so that `import fewmasks` costs nothing and torch comes only when it is needed.
    if name not in _HOME:
        raise AttributeError(f"module 'fewmasks' has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
