"""docs/reliability.md promises only what a test holds."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_is_named_says_what_makes_it_fail():
    """Fails when a test of the page is gone, or its docstring does not tell what it guards."""
    page = (ROOT / "docs/reliability.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named
    told = {
        each.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for each in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and (ast.get_docstring(each) or "").startswith("Fails")
    }
    assert named <= told
    for path in re.findall(r"`(tests/[\w/.]+)`", page):
        assert (ROOT / path).exists()
