"""Which pieces of a lecture share a slide?

A slide begins where the notebook says so, and where the next piece would not fit. A group (a subslide of the notebook)
joins the slide before it if all of it fits, under a second heading where it has one: a lecture has fewer slides than a
notebook has subslides. A question stays with the first thing that answers it.
"""

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
    head = group[0]
    body = [block for block in group if block.kind not in ("heading", "notes")]
    needed = sum(block.height for block in body)
    if head.kind == "heading":
        title = head.content.lstrip("#").strip()
        top = head.content.startswith(("# ", "## ")) or not slides
        if not top and len(slides) > 1 and slides[-1].height + HEADING + needed <= ROOM:
            slides[-1].blocks.append(Block("subheading", title, HEADING, appears=True))
        else:
            slides.append(Slide(title if top else slides[-1].section, title))
    elif not slides:
        slides.append(Slide("", ""))
    elif head.opens == "slide" or (head.opens == "group" and slides[-1].height + needed > ROOM * SQUEEZE):
        _continue(slides)
    room = ROOM * SQUEEZE if slides[-1].height + needed <= ROOM * SQUEEZE else ROOM
    for number, block in enumerate(body):
        keeps_next = block.kind == "prose" and number + 1 < len(body) and body[number + 1].kind == "equation"
        wanted = block.height + (body[number + 1].height if keeps_next else 0)
        if slides[-1].blocks and slides[-1].height + wanted > room:
            _continue(slides)
        slides[-1].blocks.append(block)
        if block.said:
            slides[-1].notes.append(block.said)
    slides[-1].notes.extend(block.said for block in group if block.kind == "notes")


def _continue(slides: list[Slide]) -> None:
    if slides[-1].blocks:
        slides.append(Slide(slides[-1].section, slides[-1].heading))
