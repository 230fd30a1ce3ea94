"""The page at /docs: the OpenAPI description for people, without scripts or another server."""

import json
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font-size: 0.95em; } pre { overflow: auto; background: #8881; padding: 0.7rem; }
details { border-top: 1px solid #8884; padding: 0.4rem 0; } summary { cursor: pointer; }
b { display: inline-block; min-width: 4.5rem; } :root { color-scheme: light dark; }
"""
PARTS: tuple[str, ...] = ("parameters", "requestBody", "responses")


def docs_page(description: dict[str, Any]) -> str:
    """An HTML page of an OpenAPI description: every route, then every schema."""
    info = description["info"]
    title = escape(f"{info['title']} {info['version']}")
    routes = [
        _route(method, path, operation)
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = [
        _folded(f"<code>{escape(name)}</code>", schema)
        for name, schema in description["components"]["schemas"].items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style><h1>{title}</h1>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
        f"<h2>Routes</h2>{''.join(routes)}<h2>Schemas</h2>{''.join(schemas)}</html>"
    )


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    about = escape(operation.get("description", operation.get("summary", "")))
    parts = {key: operation[key] for key in PARTS if key in operation}
    return _folded(f"<b>{method.upper()}</b> <code>{escape(path)}</code> {about}", parts)


def _folded(summary: str, content: dict[str, Any]) -> str:
    text = escape(json.dumps(content, indent=2))
    return f"<details><summary>{summary}</summary><pre>{text}</pre></details>"
