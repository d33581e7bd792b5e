"""The mutants: what mutmut's operators, and two of our own, make of the functions of a module."""

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

__all__ = ["CORE", "ROOT", "Key", "Mutant", "mutants_of"]

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "src" / "pool" / "_core"

Key = tuple[str, str, str, str]
"""Module, function, what the changed lines were, and what became of them."""


@dataclass(frozen=True)
class Mutant:
    """One change of one function.

    Attributes:
        module: where, as in ``agenda``.
        function: its qualified name.
        source: the text of the whole module.
        was: the changed lines.
        becomes: what became of them.
    """

    module: str
    function: str
    source: str
    was: str
    becomes: str

    @property
    def key(self) -> Key:
        """What names it in the list of reasons: no line numbers, which change for other reasons."""
        return self.module, self.function, self.was, self.becomes

    def put(self) -> None:
        """Have the function do this from now on."""
        module = importlib.import_module(f"pool._core.{self.module}")
        scratch = {"__name__": module.__name__, "__file__": module.__file__}
        exec(compile(self.source, str(module.__file__), "exec"), scratch)
        *owners, name = self.function.split(".")
        there: Any = vars(module)
        mutated: Any = scratch
        for owner in owners:
            there, mutated = vars(there[owner]), vars(mutated[owner])
        old, new = _function(there[name]), _function(mutated[name])
        old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
        if old.__code__.co_freevars == new.__code__.co_freevars:
            old.__code__ = new.__code__
        else:
            # It no longer calls super().
            setattr(getattr(module, owners[0]), name, new)


def _function(thing: Any) -> FunctionType:
    found = getattr(thing, "__func__", None) or getattr(thing, "fget", None) or thing
    assert isinstance(found, FunctionType)
    return found


def _without_call(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """Leave out a call whose result nobody wants."""
    if isinstance(node.value, cst.Call):
        yield cst.Expr(cst.Ellipsis())


def _negated(node: cst.If | cst.While) -> Iterator[cst.CSTNode]:
    """Turn a condition around, if none of mutmut's operators does."""
    if not isinstance(node.test, cst.Comparison | cst.UnaryOperation | cst.BooleanOperation):
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), node.test))


def _is_vain(mutation: Mutation) -> bool:
    """Whether a flag becomes ``None`` instead of ``False``, which nobody asks; to ``True`` tells more."""
    node = mutation.original_node
    return (
        isinstance(node, cst.Assign | cst.AnnAssign)
        and isinstance(node.value, cst.Name)
        and node.value.value == "False"
    )


OPERATORS = [*mutation_operators, (cst.Expr, _without_call), (cst.If, _negated)]


def mutants_of(module: str) -> list[Mutant]:
    """Return the mutants of a module of the core, in the order of its text."""
    text = (CORE / f"{module}.py").read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(text))
    nothing = IgnoredCode(set(), set(), set())
    visitor = MutationVisitor(OPERATORS, nothing)
    tree = wrapper.visit(visitor)
    names = dict(_functions(tree))
    mutants = {}
    for mutation in visitor.mutations:
        function = names.get(mutation.contained_by_top_level_function)
        if function is not None and not _is_vain(mutation):
            mutant = _mutant(module, function, text, tree, mutation)
            mutants[mutant.source] = mutant
    mutants.pop(text, None)
    return list(mutants.values())


def _functions(tree: cst.Module) -> Iterator[tuple[cst.CSTNode | None, str]]:
    for node in tree.body:
        if isinstance(node, cst.FunctionDef):
            yield node, node.name.value
        elif isinstance(node, cst.ClassDef):
            for child in node.body.body:
                if isinstance(child, cst.FunctionDef):
                    yield child, f"{node.name.value}.{child.name.value}"


def _mutant(module: str, function: str, text: str, tree: cst.Module, mutation: Mutation) -> Mutant:
    changed = tree.deep_replace(mutation.original_node, mutation.mutated_node)
    assert isinstance(changed, cst.Module)
    lines = list(difflib.ndiff(text.splitlines(), changed.code.splitlines()))
    was, becomes = (
        "\n".join(line[2:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return Mutant(module, function, changed.code, was, becomes)
