"""Curves as SVG, with nothing but text: logarithmic axes, a legend, no script."""

import math
from typing import Iterator, List, Mapping, NamedTuple, Sequence, Tuple

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 60
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd")

Points = Sequence[Tuple[float, float]]


class Axis(NamedTuple):
    """From a figure to a place: `low` to `high` are powers of ten."""

    low: int
    high: int
    begin: float
    end: float

    def place(self, figure: float) -> float:
        """Where the figure is."""
        return self.begin + (math.log10(figure) - self.low) / (self.high - self.low) * (self.end - self.begin)


def draw(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """A picture of these series, each a list of (x, y), all greater than 0."""
    points = [point for each in series.values() for point in each]
    horizontal = _axis([x for x, _y in points], LEFT, WIDTH - RIGHT)
    vertical = _axis([y for _x, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">' % (WIDTH, HEIGHT),
        '<rect width="100%" height="100%" fill="white"/>',
        _text(WIDTH / 2, 20, title, "middle", 'font-size="14"'),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 32, across, "middle"),
        _text(16, (TOP + HEIGHT - BOTTOM) / 2, up, "middle", 'transform="rotate(-90 16 %d)"' % ((TOP + HEIGHT - BOTTOM) / 2)),
        *_grid(horizontal, vertical),
        *_lines(horizontal, vertical, series),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axis(figures: Sequence[float], begin: float, end: float) -> Axis:
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    return Axis(low, max(high, low + 1), begin, end)


def _grid(horizontal: Axis, vertical: Axis) -> Iterator[str]:
    for power in range(horizontal.low, horizontal.high + 1):
        x = horizontal.place(10.0 ** power)
        yield _line(x, vertical.begin, x, vertical.end)
        yield _text(x, vertical.begin + 16, _number(power), "middle")
    for power in range(vertical.low, vertical.high + 1):
        y = vertical.place(10.0 ** power)
        yield _line(horizontal.begin, y, horizontal.end, y)
        yield _text(horizontal.begin - 6, y + 4, _number(power), "end")


def _lines(horizontal: Axis, vertical: Axis, series: Mapping[str, Points]) -> Iterator[str]:
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places: List[Tuple[float, float]] = [(horizontal.place(x), vertical.place(y)) for x, y in sorted(points)]
        yield '<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (colour, " ".join("%.1f,%.1f" % each for each in places))
        for x, y in places:
            yield '<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (x, y, colour)
        x = LEFT + number * (WIDTH - LEFT - RIGHT) / len(series)
        yield '<rect x="%.1f" y="%d" width="10" height="10" fill="%s"/>' % (x, HEIGHT - 18, colour)
        yield _text(x + 14, HEIGHT - 9, name, "start")


def _number(power: int) -> str:
    return "{:,}".format(10 ** power) if power >= 0 else "%.*f" % (-power, 10.0 ** power)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>' % (x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return '<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>' % (x, y, anchor, more, escaped)
