"""Lines of about the same length, for subtitles and paragraphs that were wrapped before."""

import re

_CUT = re.compile(r"<[^<>]*>|( )(?=[^\W\d_])")
"""Only before a letter: a line that begins with "-", "#" or "1." would mean something else. A tag
is stepped over."""


def wrap(text: str, lines: int) -> list[str]:
    """At most so many lines, cut at spaces, each as near as can be to its equal share."""
    found: list[str] = []
    done = 0
    cuts = [match.start() for match in _CUT.finditer(text) if match[1]]
    for left in range(lines, 1, -1):
        ahead = [cut for cut in cuts if cut > done]
        if not ahead:
            break
        aim = done + (len(text) - done) / left
        cut = min(ahead, key=lambda at: abs(at - aim))
        found.append(text[done:cut])
        done = cut + 1
    return [*found, text[done:]]
