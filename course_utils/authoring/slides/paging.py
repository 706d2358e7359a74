"""Which pieces of a lecture share a slide?

A slide begins where the notebook says so, and where the next piece would not fit. A group (a subslide of the notebook)
joins the slide before it if all of it fits, under a second heading where it has one: a lecture has fewer slides than a
notebook has subslides. A sentence that leads into an equation goes with it.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from course_utils.authoring.slides.blocks import Block

ROOM = 560.0  # pixels below the heading of a slide
SQUEEZE = 1.2  # a group that is taller by no more than this stays together, and the browser shrinks it
HEADING = 56.0  # of a second heading on a slide


@dataclass
class Slide:
    """A heading, what stands below it, and what the speaker says."""

    section: str
    heading: str
    blocks: list[Block] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Return the estimated height of what stands below the heading."""
        return sum(block.height for block in self.blocks)


def pages_of(blocks: Iterable[Block]) -> list[Slide]:
    """Return the slides of a lecture, the title slide first."""
    slides: list[Slide] = []
    for group in _groups(blocks):
        _add(slides, group)
    return [slide for slide in slides if slide.blocks or slide.notes or slide is slides[0]]


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Yield runs of blocks of which the first opens a slide or a group, or is a heading."""
    group: list[Block] = []
    for block in blocks:
        if group and (block.opens or block.kind == "heading"):
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _add(slides: list[Slide], group: list[Block]) -> None:
    """Put a group on the last slide or on new ones."""
    body = [block for block in group if block.kind not in ("heading", "notes")]
    needed = sum(block.height for block in body)
    _open(slides, group[0], needed)
    stays_together = slides[-1].height + needed <= ROOM * SQUEEZE
    for block, after in itertools.zip_longest(body, body[1:]):
        leads_on = block.kind == "prose" and after is not None and after.kind == "equation"
        wanted = block.height + (after.height if after is not None and leads_on else 0)
        if not stays_together and slides[-1].height + wanted > ROOM:
            _continue(slides)
        slides[-1].blocks.append(block)
        if block.said:
            slides[-1].notes.append(block.said)
    slides[-1].notes.extend(block.said for block in group if block.kind == "notes")


def _open(slides: list[Slide], head: Block, needed: float) -> None:
    """Begin a slide for a group of that height, or leave the last one open for it."""
    if head.kind == "heading":
        title = head.content.lstrip("#").strip()
        is_section = head.content.startswith(("# ", "## ")) or not slides
        if not is_section and len(slides) > 1 and slides[-1].height + HEADING + needed <= ROOM:
            slides[-1].blocks.append(Block("subheading", title, HEADING, appears=True))
        else:
            slides.append(Slide(title if is_section else slides[-1].section, title))
    elif not slides:
        slides.append(Slide("", ""))
    elif head.opens == "slide" or (head.opens == "group" and slides[-1].height + needed > ROOM * SQUEEZE):
        _continue(slides)


def _continue(slides: list[Slide]) -> None:
    if slides[-1].blocks:
        slides.append(Slide(slides[-1].section, slides[-1].heading))
