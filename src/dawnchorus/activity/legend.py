"""What the colours of a heat map mean, as a strip with numbers."""

from __future__ import annotations

from dawnchorus.activity import svg
from dawnchorus.activity.colours import DARK, LIGHT, scale_stops

WIDTH, HEIGHT, BAR = 340, 34, 200


def draw_legend(top: float, unit: str, number: int) -> str:
    """The strip as SVG.

    Args:
        top: the number that has the last colour; larger ones have it too.
        unit: of the numbers.
        number: tells apart the legends of one page.
    """
    gradients = [
        f'<linearGradient id="{name}{number}">'
        + "".join(f'<stop offset="{at:.3f}" stop-color="{hue}"/>' for at, hue in scale_stops(scale))
        + "</linearGradient>"
        for name, scale in (("d", LIGHT), ("n", DARK))
    ]
    bars = [
        f'<rect class="{kind}" x="14" y="2" width="{BAR - 14}" height="12" '
        f'fill="url(#{name}{number})"/>'
        for name, kind in (("d", "by-day"), ("n", "by-night"))
    ]
    middle = (14 + BAR) / 2
    return "".join([
        f'<svg class="legend" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="colours">',
        "<defs>", *gradients, "</defs>", *bars,
        svg.rect(0, 2, 12, 12, "zero"), svg.rect(BAR + 26, 2, 14, 12, "unrecorded"),
        svg.text(0, 29, "0"), svg.text(middle, 29, svg.short(top / 2), at="middle"),
        svg.text(BAR, 29, svg.short(top), at="end"), svg.text(BAR + 6, 29, unit),
        svg.text(BAR + 46, 12, "not recorded"),
        "</svg>",
    ])  # fmt: skip
