"""The public surface: what `__all__` says, what is there, and what type checkers see are the same."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import hotset

MODULES = sorted(module.name for module in pkgutil.walk_packages(hotset.__path__, "hotset."))
SUBMODULES = {module.name for module in pkgutil.iter_modules(hotset.__path__)}


def is_public(name: str) -> bool:
    """Whether a name is meant for users."""
    return not name.startswith("_")


def names_for_type_checkers() -> set[str]:
    """The names that `hotset/__init__.py` imports under `if TYPE_CHECKING`, or defines."""
    tree = ast.parse(Path(inspect.getfile(hotset)).read_text(encoding="utf-8"))
    guarded = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]
    imports = [node for node in guarded if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names} | set(defined_in(tree))


def defined_in(tree: ast.Module) -> list[str]:
    """The public functions, classes and variables that a module's own body defines."""
    names: list[str] = []
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Assign(targets=targets):
                names.extend(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case _:
                pass
    return [name for name in names if is_public(name)]


def test_every_promised_name_is_there() -> None:
    """Each name of `hotset.__all__` can be had from the package."""
    assert [name for name in hotset.__all__ if not hasattr(hotset, name)] == []


def test_nothing_public_is_unlisted() -> None:
    """What `dir(hotset)` shows without an underscore, modules aside, is what `__all__` lists."""
    shown = {name for name in dir(hotset) if is_public(name) and not isinstance(getattr(hotset, name), ModuleType)}
    assert shown == {name for name in hotset.__all__ if is_public(name)}


def test_type_checkers_see_the_same_names() -> None:
    """The imports made for type checkers and the names found lazily at run time are the same."""
    assert {name for name in names_for_type_checkers() if is_public(name)} == set(filter(is_public, hotset.__all__))


def test_no_public_name_is_a_submodule_too() -> None:
    """Importing a submodule never replaces a public name of the package."""
    assert set(hotset.__all__) & SUBMODULES == set()


def test_a_public_name_is_the_same_each_time() -> None:
    """A name found lazily is one object, however often it is asked for."""
    assert all(getattr(hotset, name) is getattr(hotset, name) for name in hotset.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have is refused, and the error says which."""
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = getattr(hotset, "no_such_name")  # noqa: B009  # type checkers know too that it is not there


@pytest.mark.parametrize("name", MODULES)
def test_each_module_tells_the_truth_about_itself(name: str) -> None:
    """A module with an `__all__` has every name in it, and lists every public name that it defines."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        return
    assert [entry for entry in listed if not hasattr(module, entry)] == []
    source = Path(inspect.getfile(module)).read_text(encoding="utf-8")
    assert [entry for entry in defined_in(ast.parse(source)) if entry not in listed] == []
