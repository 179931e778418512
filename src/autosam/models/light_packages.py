"""Other people's packages whose parts can be imported without all the rest."""

import sys
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_LOCK = RLock()


class _Package(ModuleType):
    """A package whose own file runs when somebody asks for a name that it has not got yet."""

    def __getattr__(self, name: str) -> Any:
        # Python and its tools look for names such as __wrapped__ everywhere.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with _LOCK:
            if type(self) is _Package:
                _run(self)
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        with _LOCK:
            if type(self) is _Package:
                _run(self)
        return dir(self)


def _run(package: ModuleType) -> None:
    """Execute the package's own file, as an import would have done at once."""
    assert package.__spec__ is not None
    assert package.__spec__.loader is not None
    # An ordinary module from now on; also while its file runs, which may look for what is not there.
    package.__class__ = ModuleType
    try:
        package.__spec__.loader.exec_module(package)
    except BaseException:
        package.__class__ = _Package
        raise


def import_parts_alone(name: str) -> None:
    """Let ``import NAME.part`` run the file of the part, but that of the package only when it is needed.

    Python runs a package's ``__init__.py`` before the first of its parts. That of ``segment_anything`` imports its
    predictor, and by way of torchvision all of torch's compiler: more than a second for what autosam does not use.
    Here the package is put among the imported modules with its own file still to run. Whoever asks it for a name,
    as in ``from segment_anything import SamPredictor``, has it run then, and finds the classes that autosam uses.

    Nothing happens where the package is imported already, or is not there.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[name] = package
