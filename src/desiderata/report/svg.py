"""From a Matplotlib figure to SVG that lives inside a page: themable, selectable text, no inline styles.

Matplotlib writes colours into style attributes. A page that forbids inline styles would drop them, and fixed colours
would not follow a dark scheme. Colours of the palette become classes instead, which the page's style sheet fills in.
"""

import io
import re
import threading
import warnings
from xml.etree import ElementTree

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1d1c1a", "#6a665f", "#e3dfd6", "#fffefb"
SERIES = ("#0067b0", "#d1520a", "#00896a", "#b0538f", "#3a97cf", "#c98a00", "#6b6b70")
"""Told apart by colour-blind eyes (after Okabe and Ito), and by the shape of their markers."""

CLASSES = (
    "#1b62a8", "#c2500f", "#0f8466", "#a84d88", "#8a6d00", "#2f8fb8", "#b3303a", "#6750b0", "#4f7a1f", "#6d6d73",
)  # fmt: skip
"""Of the classes on a map; they stand beside names there, for ten are more than can be told apart by all eyes."""

_ROLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"}
_ROLES |= {c: f"series{i}" for i, c in enumerate(SERIES)} | {c: f"class{i}" for i, c in enumerate(CLASSES)}
_NAMESPACE = re.compile(r"^\{[^}]*\}")
_REFERENCE = re.compile(r"#([^)\s]+)")
_DROPPED = {"metadata", "style", "title"}
_RC = threading.Lock()


def inline(figure: Figure, name: str, description: str) -> str:
    """Render a figure drawn in the palette of this module.

    Args:
        figure: One unit of its own is one pixel: its size in inches times 72.
        name: Unique within the page; prefixes ids and becomes a class.
        description: What the figure shows, for those who do not see it.

    Returns:
        An `<svg>` element whose elements carry classes `fill-ROLE` and `stroke-ROLE`. The same figure gives the
        same text.
    """
    buffer = io.BytesIO()
    # The font type can only be set for the whole process; the lock and the context keep that to this one call.
    with (
        _RC,
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}),
        warnings.catch_warnings(),
    ):
        # text stays text, which the browser draws with fonts of its own
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _clean(root)
    _rename(root, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"class": f"figure {name}", "role": "img", "aria-label": description}
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element) -> None:
    element.tag = _NAMESPACE.sub("", element.tag)
    for key in list(element.attrib):
        if key.startswith("{"):
            element.set(_NAMESPACE.sub("", key), element.attrib.pop(key))
    classes = []
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key in ("fill", "stroke") and value in _ROLES:
            classes.append(f"{key}-{_ROLES[value]}")
        elif key == "font":
            element.set("font-size", re.search(r"[\d.]+(?=px)", value)[0])  # pyright: ignore[reportOptionalSubscript]
            if re.match(r"(bold|[6-9]00)\b", value):
                element.set("font-weight", "600")
        elif key:
            element.set(key, value)
    if classes:
        element.set("class", " ".join(classes))
    for child in list(element):
        if _NAMESPACE.sub("", child.tag) in _DROPPED:
            element.remove(child)
        else:
            child.tail = None
            _clean(child)
    if element.tag != "text":
        element.text = None


def _rename(root: ElementTree.Element, name: str) -> None:
    """Give ids that are referred to a prefix of their own, since several figures share a page; drop the others."""
    used = {
        match[1]
        for element in root.iter()
        for key in ("href", "clip-path")
        if (match := _REFERENCE.search(element.get(key, "")))
    }
    names = {old: f"{name}-{i}" for i, old in enumerate(sorted(used))}
    for element in root.iter():
        if old := element.attrib.pop("id", None):
            if old in names:
                element.set("id", names[old])
            elif old == "halo":
                element.set("class", "halo")
        for key in ("href", "clip-path"):
            if key in element.attrib:
                element.set(key, _REFERENCE.sub(lambda match: f"#{names[match[1]]}", element.attrib[key]))
