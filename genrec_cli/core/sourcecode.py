"""Which code a result came from, as a hash that only a change of behaviour can change."""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent.parent
_IMPORT: Final = re.compile(r"^from genrec_cli\.([\w.]+) import", re.MULTILINE)


@cache
def code_hash(module: str, within: str = "") -> str:
    """Hash of a module and of all modules that it imports, directly or not.

    Comments, docstrings and layout do not count.

    Args:
        module: dotted, without the package's name, as in "evaluation.protocol".
        within: imports from elsewhere than below this module are not followed.
    """
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            imported = _IMPORT.findall(_file(name).read_text(encoding="utf-8"))
            waiting += [other for other in imported if other.startswith(within)]
    return _hashed(_file(name) for name in sorted(seen))


def _file(module: str) -> Path:
    place = _PACKAGE / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _hashed(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [part for part in node.body if not _is_docstring(part)]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _is_docstring(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
