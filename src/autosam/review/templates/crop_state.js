"use strict";
/* What corrections say about a crop of the page. */
class CropState {
  static boxOf({ row, col, height, width }) {
    return [row, col, row + height - 1, col + width - 1];
  }

  /* Tells whether boxes cover another one together; null in place of a box is the whole image. */
  static covered([top, left, bottom, right], boxes) {
    if (top > bottom || left > right) return true;
    if (!boxes.length) return false;
    const [box, ...others] = boxes;
    if (!box) return true;
    const [up, start] = [Math.max(top, box[0]), Math.max(left, box[1])];
    const [down, end] = [Math.min(bottom, box[2]), Math.min(right, box[3])];
    if (up > down || start > end) return CropState.covered([top, left, bottom, right], others);
    // What it leaves above, below and at both sides.
    const rests = [
      [top, left, up - 1, right],
      [down + 1, left, bottom, right],
      [up, left, down, start - 1],
      [up, end + 1, down, right],
    ];
    return rests.every((rest) => CropState.covered(rest, others));
  }

  static overlap(one, other) {
    return one[0] <= other[2] && one[2] >= other[0] && one[1] <= other[3] && one[3] >= other[1];
  }

  /* Gives the box around the mask or the box of a correction that draws; null where it has neither. */
  static drawnBox(one) {
    if (!one.mask) return one.action === "reviewed" ? null : one.box;
    const [row, col, height, width] = one.mask.split(/[ :]/, 4).map(Number);
    return CropState.boxOf({ row, col, height, width });
  }

  /* Tells whether something that is drawn reaches into a crop. */
  static reaches(one, crop) {
    const box = CropState.drawnBox(one);
    return Boolean(box) && CropState.overlap(box, CropState.boxOf(crop));
  }

  static contains(crop, [row, col]) {
    return row >= crop.row && col >= crop.col && row < crop.row + crop.height && col < crop.col + crop.width;
  }

  /* Where the object of a correction that draws is: [row, column], or several. */
  static placesOf(one) {
    const box = CropState.drawnBox(one);
    if (box) return [[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]];
    return one.points.filter((_, number) => one.labels[number]);
  }

  /* Tells whether a correction is about what is doubtful in a crop. */
  static isAbout(one, crop) {
    if (one.image !== crop.image) return false;
    if (one.action === "reviewed") return CropState.covered(CropState.boxOf(crop), [one.box]);
    if (one.action === "add") return CropState.placesOf(one).some((point) => CropState.contains(crop, point));
    return one.objects.some((id) => crop.objects.includes(id));
  }

  /* Tells whether a crop is done: all of it was called right, or all that is doubtful in it was decided. */
  static isDone(crop, corrections) {
    const about = corrections.filter((one) => one.image === crop.image);
    const box = CropState.boxOf(crop);
    const right = about.filter((one) => one.action === "reviewed").map((one) => one.box);
    if (CropState.covered(box, right.filter((one) => !one || CropState.overlap(one, box)))) return true;
    // Nothing else ends a part of a whole image.
    if (crop.kind === "part") return false;
    const own = about.filter((one) => CropState.isAbout(one, crop));
    if (!crop.objects.length) return own.some((one) => one.action === "add");
    const decided = own.flatMap((one) => one.objects);
    return crop.objects.every((id) => decided.includes(id));
  }
}
