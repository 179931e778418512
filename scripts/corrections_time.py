"""Clicks per object, and an estimate of the time that correcting and adapting saves.

Assumptions, printed with the figures:

* Annotating an image took 544 s by hand. With the model's proposals and prompts it took 69 s, and after
  fine-tuning 30 s. These are the raw annotation times behind micro-sam (Archit et al. 2025).
* The ratios hold for objects. One drawn by hand is the unit. One that SAM draws from clicks takes 69/544 of it,
  and so does one that is split or merged.
* One that is accepted, deleted or called right takes 30/544, as in looking over what a fine-tuned model found.
* Learning takes no time of a person.

MedSAM's study (Ma et al. 2024) reports 82 % of the time saved, to compare with.
"""

from collections.abc import Iterator, Mapping, Sequence

from corrections_log import ADAPT, Row, counted

from autosam.review.corrections import DRAWING

HAND = 544.0
"""Seconds for an image by hand."""

PROMPTED = 69.0
"""Seconds for an image with a default SAM."""

TUNED = 30.0
"""Seconds for an image with a fine-tuned SAM."""

MEDSAM = 0.82
"""Share of the time saved in MedSAM's study."""

_CLICKED = ("merge", "split")


def estimates(rows: Sequence[Row]) -> Iterator[str]:
    """Give lines about each point of an adaptation, and the assumptions."""
    yield (
        f"assumed: an object by hand is 1, from clicks {PROMPTED / HAND:.3f} ({PROMPTED:.0f} s against "
        f"{HAND:.0f} s an image), at a glance {TUNED / HAND:.3f} ({TUNED:.0f} s); MedSAM saved {MEDSAM:.0%}"
    )
    kept = [row for row in rows if row.key.learner == ADAPT]
    for row in kept:
        key = row.key
        start = f"{key.case} {key.model} {key.order} {key.corrections}"
        by_sam = _share_by_sam(row, kept)
        if row.objects and row.effort.number:
            per, spent = row.effort.clicks / row.objects, time_of(counted(row.actions), by_sam)
            yield (
                f"{start}: {row.effort.clicks} clicks for {row.objects} objects, {per:.1f} each; labeling them "
                f"takes {spent:.1f} instead of {row.objects} drawn by hand ({1 - spent / row.objects:+.0%} saved)"
            )
        finish = time_of(counted(row.left), by_sam)
        yield (
            f"{start}: finishing the {row.true_objects} objects of the scored images then takes {finish:.1f} "
            f"instead of {row.true_objects} drawn by hand ({1 - finish / max(1, row.true_objects):+.0%} saved)"
        )


def time_of(counts: Mapping[str, int], by_sam: float) -> float:
    """Give the time that corrections take, in objects drawn by hand.

    Parameters
    ----------
    counts : mapping of str to int
        How many there are of each action.
    by_sam : float
        Share of the drawn objects that SAM draws from clicks.
    """
    drawn, clicked = (sum(counts.get(name, 0) for name in names) for names in (DRAWING, _CLICKED))
    glances = sum(counts.values()) - drawn - clicked
    prompted = drawn * by_sam + clicked
    return drawn * (1 - by_sam) + prompted * PROMPTED / HAND + glances * TUNED / HAND


def _share_by_sam(row: Row, rows: Sequence[Row]) -> float:
    """Give the share of drawn objects that SAM drew, of the point, or of all points of its model and case."""
    key = row.key
    like = [row] if row.effort.by_sam + row.effort.by_hand else rows
    same = [one.effort for one in like if (one.key.case, one.key.model_hash) == (key.case, key.model_hash)]
    by_sam, drawn = sum(one.by_sam for one in same), sum(one.by_sam + one.by_hand for one in same)
    return by_sam / drawn if drawn else 0.0
