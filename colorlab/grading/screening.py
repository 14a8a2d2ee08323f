"""Read student code for what deceives a check that runs beside it; see `review`.

What students need for an answer is little. What reaches into Python itself is named here, and a
person looks at it. The list cannot be complete: hidden checks, which see values only, need none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from symtable import symtable

# Packages that an answer may import beside those of the lesson.
HARMLESS = """
__future__ IPython.display abc collections contextlib copy dataclasses functools itertools json
math operator random re scipy skimage statistics time tqdm typing warnings
"""
# Names that reach into Python as they stand, and those that do as an attribute or an import too.
BARE = re.compile(
    "In|Out|compile|delattr|eval|exec|get_ipython|getattr|globals|locals|setattr|vars"
)
REACHED = re.compile(
    "(f|tb|gi|cr|ag)_(frame|back|next|locals|globals|builtins|code)|sys|builtins|gc|inspect|ctypes|"
    "modules|pickle|allow_pickle|hub|make_dataclass|methodcaller|attrgetter|linecache|__.+__"
)
USUAL = re.compile(
    "__(call|doc|enter|exit|file|future|getitem|init|iter|len|name|next|post_init|repr|str)__"
)
CHANGED_OFTEN = {"requires_grad", "grad", "data"}  # attributes that training code sets


def review(cells: Iterable[str], protected: set[str], imports: set[str]) -> list[str]:
    """What in these cells tampers with Python or with what the checks use; empty if nothing does.

    Args:
        cells: code that the student wrote or changed.
        protected: names that checks use and no exercise asks for.
        imports: what the lesson imports, as `imported` gives it.
    """
    found: list[str] = []
    packages = set(HARMLESS.split()) | {name.split("=")[1].split(".")[0] for name in imports} - {
        "IPython"
    }
    for text in cells:
        try:
            code = python(text)
            tree = ast.parse(code)
            names = bound(code)
        except (SyntaxError, ValueError):
            continue  # the kernel cannot run it either
        except (RecursionError, MemoryError):
            found.append("is nested too deeply to be read")
            continue
        new = imported(tree) - imports
        for name, source in (pair.split("=") for pair in sorted(new)):
            if not any(f"{source}.".startswith(f"{package}.") for package in packages):
                found.append(f"imports {source}")
            if name in protected | {"*"}:
                found.append(f"imports {name}, which a check may use")
        taken = (names - {pair.split("=")[0] for pair in imported(tree)}) & protected
        found += [f"assigns {name}, which a check uses" for name in sorted(taken)]
        for node in ast.walk(tree):
            found += _tampers(node)
    return list(dict.fromkeys(found))


def python(text: str) -> str:
    """A cell as Python, its magics as calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(text)


def _tampers(node: ast.AST) -> list[str]:
    """What one node of a syntax tree does that has no place in an answer."""
    named = {ast.Name: "id", ast.Attribute: "attr", ast.keyword: "arg", ast.alias: "name"}
    named |= dict.fromkeys((ast.FunctionDef, ast.ClassDef), "name")
    word = str(getattr(node, named.get(type(node), ""), None) or "").split(".")[-1]
    reaches = REACHED.fullmatch(word) and not USUAL.fullmatch(word)
    if reaches or (isinstance(node, ast.Name) and BARE.fullmatch(word)):
        return [f"uses {word}"]
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        own = isinstance(node.value, ast.Name) and node.value.id == "self"
        return [] if own or word in CHANGED_OFTEN else [f"changes {ast.unparse(node)}"]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type":
        return ["uses type() to make a class"] if len(node.args) != 1 else []
    return []


def imported(tree: ast.AST) -> set[str]:
    """Each imported name with what it stands for, ``np=numpy``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {f"{a.asname or a.name.split('.')[0]}={a.name}" for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{a.asname or a.name}={node.module or '.'}.{a.name}" for a in node.names}
    return found


def bound(code: str) -> set[str]:
    """Names that a cell binds in the notebook: outside functions, or declared global."""
    found, tables = set(), [symtable(code, "cell", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        everywhere = table.get_type() == "module"
        for symbol in table.get_symbols():
            if everywhere or symbol.is_declared_global():
                found |= {symbol.get_name()} if symbol.is_assigned() else set()
    return found
