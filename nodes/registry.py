"""NodeRegistry: which class a node type has."""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from nodes.base import BaseNode
from nodes.contract import NodeConfig
from orchestrator.exceptions import DuplicateNodeType, RegistryError, UnknownNodeType

BUILTIN_PACKAGE = "nodes.builtin"
ENTRY_POINT_GROUP = "orchestrator.nodes"
_KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class NodeRegistry:
    """Node classes by identifier.

    What cannot be loaded is kept in `broken` (name -> reason) and does not take the others down;
    the name is that of the module, the class or the entry point. The first to claim an identifier
    keeps it, and the built-in nodes come first.
    """

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self._classes: dict[str, type[BaseNode]] = {}

    def register(self, node_class: type[BaseNode]) -> None:
        """Add a class; adding the same class again changes nothing.

        Raises:
            RegistryError: it is not a node, or its identifier is not kebab-case.
            DuplicateNodeType: another class has its identifier.
        """
        if not (isinstance(node_class, type) and issubclass(node_class, BaseNode)):
            raise RegistryError(f"{node_class!r} is not a subclass of nodes.base.BaseNode")
        if not _KEBAB_CASE.fullmatch(node_class.identifier):
            raise RegistryError(
                f"the identifier {node_class.identifier!r} is not kebab-case, such as parse-json"
            )
        present = self._classes.setdefault(node_class.identifier, node_class)
        if present is not node_class:
            raise DuplicateNodeType(
                f"{node_class.identifier!r} is already the identifier of {_name(present)}"
            )

    def discover(self, packages: Sequence[str] = ()) -> None:
        """Load the built-in nodes, the named packages and what is installed as entry points."""
        for package in (BUILTIN_PACKAGE, *packages):
            self._load_package(package)
        for entry in sorted(entry_points(group=ENTRY_POINT_GROUP)):
            self._load_entry(entry)

    def get(self, identifier: str) -> type[BaseNode]:
        """Return the class of a node type.

        Raises:
            UnknownNodeType: naming the type, and one that looks like it.
        """
        try:
            return self._classes[identifier]
        except (KeyError, TypeError):
            pass
        similar = difflib.get_close_matches(str(identifier), self._classes, n=1)
        hint = f"; did you mean {similar[0]!r}?" if similar else ""
        raise UnknownNodeType(f"no node has the type {identifier!r}{hint}")

    def create(self, config: NodeConfig) -> BaseNode:
        """Make a node.

        Raises:
            UnknownNodeType: there is no such type.
        """
        return self.get(config.type)(config)

    def types(self) -> list[str]:
        """The identifiers, sorted."""
        return sorted(self._classes)

    def __iter__(self) -> Iterator[type[BaseNode]]:
        """The classes, sorted by identifier."""
        return iter([self._classes[identifier] for identifier in self.types()])

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._classes

    def __len__(self) -> int:
        return len(self._classes)

    def _load_package(self, name: str) -> None:
        module = self._try(name, lambda: importlib.import_module(name))
        if module is not None:
            self._load_module(module)

    def _load_entry(self, entry: EntryPoint) -> None:
        loaded = self._try(entry.name, entry.load)
        if isinstance(loaded, ModuleType):
            self._load_module(loaded)
        elif loaded is not None:
            self._try(entry.name, lambda: self.register(loaded))

    def _load_module(self, module: ModuleType) -> None:
        for node_class in _node_classes(module):
            self._try(_name(node_class), lambda c=node_class: self.register(c))  # type: ignore[misc]
        for name in _submodules(module):
            self._load_package(name)

    def _try(self, name: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (Exception, SystemExit) as error:  # a package may even call sys.exit()
            self.broken[name] = f"{type(error).__name__}: {error}"
            return None


def _node_classes(module: ModuleType) -> list[type[BaseNode]]:
    """The node classes that the module defines; those without an identifier are base classes."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseNode)
        and value.identifier
        and value.__module__ == module.__name__
    ]


def _submodules(package: ModuleType) -> list[str]:
    """The modules below a package, but for forms: those are loaded, with Django, when needed."""
    path = getattr(package, "__path__", ())
    return sorted(
        f"{package.__name__}.{info.name}"
        for info in pkgutil.iter_modules(path)
        if not info.name.endswith("forms") and info.name not in ("tests", "__main__")
    )


def _name(node_class: type[BaseNode]) -> str:
    return f"{node_class.__module__}.{node_class.__qualname__}"
