"""Which statements does a piece of code need to have run before it?"""

import ast
import symtable
from collections.abc import Iterator, Sequence


def needed_statements(statements: Sequence[ast.stmt], code: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return those of `statements`, in their order, that define what `code` uses, directly or through one another.

    Definitions are assignments, imports, functions, classes and loops; a name belongs to the last statement that
    defines it. What changes an object without naming it on the left (`x.append(1)`) is not seen.
    """
    wanted: set[str] = set()
    for statement in reversed(code):
        wanted = (wanted - _defined(statement)) | _used(statement)
    found = []
    for statement in reversed(statements):
        if (defined := _defined(statement)) & wanted:
            found.append(statement)
            wanted = (wanted - defined) | _used(statement)
    return found[::-1]


def _used(statement: ast.stmt) -> set[str]:
    """Return the global names that a statement reads, inside of functions as well, local variables left out."""
    module = symtable.symtable(ast.unparse(statement), "", "exec")
    read = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_referenced()}
    read |= {
        symbol.get_name() for scope in _scopes(module) for symbol in scope.get_symbols() if symbol.is_global()
    }
    # `x += 1` reads x as well, which symtable does not say
    augmented = {ast.unparse(node.target) for node in ast.walk(statement) if isinstance(node, ast.AugAssign)}
    return read | augmented & set(module.get_identifiers())


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _scopes(child)


def _defined(statement: ast.stmt) -> set[str]:
    """Return the global names that a statement binds."""
    module = symtable.symtable(ast.unparse(statement), "", "exec")
    return {
        s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()
    }
