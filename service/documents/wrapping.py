"""Lines of about the same length, for subtitles and paragraphs that were wrapped before."""

import re
from bisect import bisect_left

_CUT = re.compile(r"<[^<>]*+>|`[^`]*+`|( )(?=[^\W\d_])")
"""Only before a letter: a line that begins with "-", "#" or "1." would mean something else. Tags
and code are stepped over."""


def wrap(text: str, lines: int) -> list[str]:
    """At most so many lines, cut at spaces, each as near as can be to its equal share."""
    found: list[str] = []
    done = 0
    cuts = [match.start() for match in _CUT.finditer(text) if match[1]]
    first = 0  # of the cuts that are left
    for left in range(lines, 1, -1):
        if first == len(cuts):
            break
        aim = done + (len(text) - done) / left
        place = bisect_left(cuts, aim, first)
        near = cuts[max(place - 1, first) : place + 1]
        cut = min(near, key=lambda at: abs(at - aim))
        found.append(text[done:cut])
        done = cut + 1
        first = bisect_left(cuts, done, first)
    return [*found, text[done:]]
