"""Pages that ask nothing of the network and forbid themselves to try."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from desiderata import __version__, files
from desiderata.errors import DesiderataError
from desiderata.report import words


def environment() -> Environment:
    """Return what fills in the templates of this package: it escapes everything, and knows the words of a report."""
    made = Environment(
        loader=PackageLoader("desiderata", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": words.percent, "signed": words.signed, "count": words.count}
    return made


def filled_in(template: str, *, styles: Sequence[str], script: str, **values: Any) -> str:
    """Return a page with its style and its script in it, which are the only ones that its policy allows.

    Args:
        template: A whole page.
        styles: Style sheets of this package, the later ones upon the first.
        script: A script of this package.
        **values: What the template takes besides.

    Returns:
        HTML.
    """
    templates = environment()
    style, code = "".join(_source(templates, one) for one in styles), _source(templates, script)
    return templates.get_template(template).render(
        version=__version__,
        style=Markup(style),
        script=Markup(code),
        style_hash=_policy_hash(style),
        script_hash=_policy_hash(code),
        **values,
    )


def write_page(path: Path, page: str) -> None:
    """Write a page in one step.

    Args:
        path: The file, whose folder is made if missing.
        page: HTML.

    Raises:
        DesiderataError: It cannot be written.
    """
    try:
        files.write_text(path, page)
    except OSError as error:
        raise DesiderataError(f"{path} cannot be written ({error.strerror}): choose another place.") from error


def _source(templates: Environment, name: str) -> str:
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0]


def _policy_hash(content: str) -> str:
    """Return the form in which a content security policy names the one style sheet or script it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
