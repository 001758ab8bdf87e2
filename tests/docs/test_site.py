"""The site is built from the pages, and every link in it leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "website" / "mkdocs.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site.  Links, anchors and pages outside of the menu are errors."""
    for package in ("material", "latex2mathml"):
        pytest.importorskip(package, reason="the dependency group `docs` is missing")
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "mkdocs", "build", "--strict", "-f", str(CONFIGURATION), "-d", str(folder)]
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text("utf-8")


def test_settings_are_shown_as_toml_and_as_ini_in_tabs(site):
    labels = re.findall(
        r'<div class="tabbed-labels">(.*?)</div>', page(site, "how-to/lora"), re.DOTALL
    )
    assert [re.findall(r">(\w+)</label>", label) for label in labels] == [["TOML", "INI"]]


def test_formulas_need_no_script(site):
    text = page(site, "explanation/how-it-works")
    assert text.count("<math ") > 50
    assert "arithmatex" not in text
    assert not re.search(r"\\\(|\\\[", re.sub(r"<code.*?</code>", "", text, flags=re.DOTALL))


def test_the_site_loads_nothing_from_elsewhere(site):
    loaded = {
        address
        for html in site.rglob("*.html")
        for address in re.findall(
            r'<(?:script|img|source|iframe)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\bhref="([^"]+)"',
            html.read_text("utf-8"),
        )
        for address in address
        if address.startswith(("http", "//"))
    }
    assert not loaded


def anchors(document: Path) -> set[str]:
    """Those of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w -]", "", text.lower()).strip().replace(" ", "-") for text in plain}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_the_files_outside_of_the_site_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text("utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        assert (ROOT / path).exists(), target
        assert not anchor or anchor in anchors(ROOT / (path or name)), target
