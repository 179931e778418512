"""The section ``volume``: how a volume is cut into work, and its slices linked."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.section import Fraction, Positive, Section


class VolumeConfig(Section):
    """How a volume is cut and its slices are linked."""

    window: Annotated[int, Field(ge=64)] = Field(
        2048,
        description="side in pixels of the windows in which slices are segmented; a slice up to this size is "
        "segmented as a whole. Larger windows take more memory, and change results near their borders",
    )
    overlap: Annotated[int, Field(ge=0)] = Field(
        192, description="pixels that neighboring windows share at least; more than an object is wide"
    )
    slab: Positive = Field(
        16,
        description="slices of a task. It does not change results, only how long a task takes and how much an "
        "interruption costs",
    )
    tile: Positive = Field(
        2048,
        description="side in pixels of the part of a slice that a task works on, in whole windows. It does not "
        "change results",
    )
    directions: Literal[1, 3] = Field(
        1,
        description="3 segments the volume along each of its axes and keeps the voxels about which two agree: for "
        "voxels that are about cubes, in three times the time",
    )
    link_reach: Annotated[int, Field(ge=1, le=3)] = Field(
        3,
        description="slices that a link may span: with 3, an object that was missed in two slices is still one",
    )
    link_iou: Fraction = Field(
        0.15, description="IoU from which objects of two slices belong together; link_containment is enough, too"
    )
    link_containment: Fraction = Field(
        0.3,
        description="intersection over the smaller one from which objects of two slices belong together, as a "
        "branch and its trunk do; link_iou is enough, too",
    )
    link_taper: Fraction = Field(
        0.5,
        description="objects are linked across a slice without them only if they do not become smaller towards "
        "it: to less than this share of their area, both ends multiplied. Objects that taper end by themselves; "
        "0 links them, too",
    )

    fill: Literal["sam", "interpolate", "none"] = Field(
        "sam",
        description="what becomes of a slice in which a linked object was not found: sam asks SAM again, with the "
        "shape between its neighbors as the prompt, and takes that shape where the answer is not accepted; "
        "interpolate takes the shape; none leaves the gap",
    )
    fill_agreement: Fraction = Field(
        0.3, description="lowest IoU of SAM's answer with the shape between the neighbors that is accepted"
    )
    fill_overlap: Fraction = Field(
        0.5,
        description="what fills a gap may lose at most this share of its pixels to other objects of the slice; "
        "otherwise the gap stays",
    )
    cut_merges: bool = Field(
        True,
        description="an object that joins two tracks in its slice alone, which are apart in six slices below and "
        "above, belongs to the larger one",
    )
    partition: Literal["components", "multicut", "mutex_watershed"] = Field(
        "components",
        description="what makes instances of links: components, all that hangs together; or, for neurites and "
        "other dense objects, of which these would make one, a multicut or a mutex watershed (extra partition)",
    )
    min_slices: Positive = Field(
        2,
        description="fewest slices that an instance spans; those in fewer are left out, as most are no objects. "
        "Those in the first or last slice of the volume stay. 1 leaves none out",
    )
    min_size: Annotated[int, Field(ge=0)] = Field(
        0, description="smallest instance in voxels; smaller ones are left out"
    )
    min_score: Fraction = Field(
        0.0,
        description="lowest score of an instance: the mean of its objects' scores, weighted by their pixels. With "
        "mito, .6 leaves out many small false instances",
    )
    seam: Fraction = Field(
        0.5,
        description="objects of two tiles are one if they share more than this part of the smaller one in the "
        "overlap of the tiles",
    )

    @model_validator(mode="after")
    def _windows_move_on(self) -> "VolumeConfig":
        if self.overlap > self.window // 2:
            raise ValueError(
                f"overlap is {self.overlap} and window {self.window}; an overlap is at most half a window"
            )
        return self
