"""Read student code for what tampers with Python itself, before points are given; see `review`.

A check that runs beside the code that it checks can be deceived: by another `all`, by objects that
equal everything, by a look into the frame of the check. What students need for an answer is little,
so what is not needed is named here, and a person looks at it. The list cannot be complete.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

# Packages that an answer may import. None is made to reach into the interpreter.
HARMLESS = """
__future__ IPython.display PIL abc bisect cmath collections colorlab contextlib copy dataclasses
decimal enum fractions functools heapq ipywidgets itertools json lpips math matplotlib numbers
numpy operator pathlib random re scipy skimage statistics time timm torch torchvision tqdm typing
warnings
"""
# Names that reach into it as they stand, and those that do as an attribute or an import.
BARE = """
In InteractiveShell Out _i _ih _ii _oh compile delattr eval exec get_ipython globals locals setattr
vars
"""
REACHED = """
ABCMeta EnumMeta EnumType Formatter ForwardRef ImageMath InteractiveShell Library Timer ag_frame
allow_pickle attrgetter benchmark bltns builtins codeop cpp_extension cr_frame ctypes ctypeslib
delattr exec f_back f_builtins f_code f_globals f_locals fx gc get_ipython get_type_hints gi_frame
globals hub importlib inspect linecache load_library locals make_dataclass marshal measure
methodcaller mock multiprocessing pickle read_array rundocs runpy runstring setattr signal
subprocess sys tb_frame tb_next threading total_ordering traceback types user_ns vars weights_only
"""
USUAL = """
__call__ __doc__ __enter__ __exit__ __file__ __future__ __getitem__ __init__ __iter__ __len__
__name__ __next__ __post_init__ __repr__ __str__
"""
HARMLESS, BARE, REACHED, USUAL = (
    frozenset(words.split()) for words in (HARMLESS, BARE, REACHED, USUAL)
)
CHANGED_OFTEN = {"requires_grad", "grad", "data"}  # attributes that training code sets


def review(cells: Iterable[str], protected: set[str], imports: set[str]) -> list[str]:
    """What in these cells tampers with Python or with what the checks use; empty if nothing does.

    Args:
        cells: code that the student wrote or changed.
        protected: names that checks use and no exercise asks for; attributes with a dot before.
        imports: what the lesson imports, as `imported` gives it.
    """
    found: list[str] = []
    modules = {name.split("=")[0] for name in imports}  # names that stand for what was imported
    for text in cells:
        try:
            tree = parsed(text)
        except (SyntaxError, ValueError):
            continue  # the kernel cannot run it either
        except (RecursionError, MemoryError):
            found.append("is nested too deeply to be read")
            continue
        new = imported(tree) - imports
        modules |= {name.split("=")[0] for name in new}
        found += [f"imports {name}" for name in _packages(tree) if name not in HARMLESS]
        found += ["imports *"] if any(name.startswith("*=") for name in new) else []
        names = bound(tree) | {name.split("=")[0] for name in new}
        found += [f"assigns {name}, which a check uses" for name in sorted(names & protected)]
        plain: set[int] = set()  # harmless calls of getattr and type
        for node in ast.walk(tree):
            found += [f"uses {word}" for word in _tampers(node)]
            if isinstance(node, ast.Attribute):
                root = _root(node)
                if node.attr.startswith("_") and root in modules and node.attr not in USUAL:
                    found.append(f"uses {ast.unparse(node)}")
                if not isinstance(node.ctx, ast.Load) and (
                    (root != "self" and node.attr not in CHANGED_OFTEN)
                    or f".{node.attr}" in protected
                ):
                    found.append(f"changes {ast.unparse(node)}")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                word = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                plain |= {id(node.func)} if _plain_call(word, node.args) else set()
                if word == "load" and len(node.args) > 2:
                    found.append("may load a pickle")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in ("getattr", "type"):
                found += (
                    [] if id(node) in plain else [f"uses {node.id}() to reach what has no name"]
                )
    return list(dict.fromkeys(found))


def parsed(text: str) -> ast.AST:
    """The syntax tree of a cell, its magics as calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(TransformerManager().transform_cell(text), "cell", "exec", flags)


def _plain_call(word: str, given: list[ast.expr]) -> bool:
    """Whether these are the arguments of type(value), or of getattr with an innocent name."""
    if word == "type":
        return len(given) == 1
    name = given[1] if len(given) > 1 else None
    if not isinstance(name, ast.Constant):
        return False
    return not _tampers(ast.Attribute(name, str(name.value), ast.Load()))


def _tampers(node: ast.AST) -> list[str]:
    """The words in one node of a syntax tree that have no place in an answer."""
    found: set[str] = set()
    if isinstance(node, ast.Name):
        words, found = [node.id], BARE & {node.id}
    elif isinstance(node, ast.alias | ast.ImportFrom):
        names = [getattr(node, "name", None), getattr(node, "module", None)]
        words = [part for name in names if name for part in name.split(".")]
        found = (BARE | REACHED) & set(words)
    else:
        words = [getattr(node, name, None) for name in ("attr", "name", "arg", "value")]
        words = [word for word in words if isinstance(word, str)]
        found = REACHED & set(words) if isinstance(node, ast.Attribute | ast.keyword) else set()
    hidden = {w for w in words if w.startswith("__") and w.endswith("__") and w not in USUAL}
    return sorted(found | hidden)


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _packages(tree: ast.AST) -> list[str]:
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "." for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return sorted({n if n.startswith("IPython.") else n.split(".")[0] for n in names})


def imported(tree: ast.AST) -> set[str]:
    """Each imported name with what it stands for, ``np=numpy``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                f"{a.asname or a.name.split('.')[0]}={a.asname and a.name}" for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{a.asname or a.name}={node.module}.{a.name}" for a in node.names}
    return found


def bound(tree: ast.AST) -> set[str]:
    """Names that a cell binds in the notebook: outside functions, or declared global."""
    found, todo = set(), [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {n for g in ast.walk(node) if isinstance(g, ast.Global) for n in g.names}
            todo += node.decorator_list
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        # Also what an except or a match binds.
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
        if isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        if hasattr(node, "generators"):  # a comprehension's variables are its own, but a walrus's
            walrus = (n for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
            found |= {n.target.id for n in walrus}
            continue
        todo += ast.iter_child_nodes(node)
    return found
