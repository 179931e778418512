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

  /* Tells whether something that is drawn reaches into a crop. */
  static reaches(one, crop) {
    let box = one.box;
    if (one.mask) {
      const [row, col, height, width] = one.mask.split(/[ :]/, 4).map(Number);
      box = CropState.boxOf({ row, col, height, width });
    }
    if (!box || one.action === "reviewed") return false;
    const [top, left, bottom, right] = CropState.boxOf(crop);
    return box[0] <= bottom && box[2] >= top && box[1] <= right && box[3] >= left;
  }

  static contains(crop, [row, col]) {
    return row >= crop.row && col >= crop.col && row < crop.row + crop.height && col < crop.col + crop.width;
  }

  /* Where the object of a correction that draws is: [row, column], or several. */
  static placesOf(one) {
    if (one.mask) {
      const [row, col, height, width] = one.mask.split(/[ :]/, 4).map(Number);
      return [[row + height / 2, col + width / 2]];
    }
    if (one.box) return [[(one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2]];
    return one.points.filter((_, number) => one.labels[number]);
  }

  /* Tells whether a correction is about what is doubtful in a crop. */
  static isAbout(one, crop) {
    if (one.image !== crop.image) return false;
    if (one.action === "reviewed") return CropState.covered(CropState.boxOf(crop), [one.box]);
    if (one.action === "add") return CropState.placesOf(one).some((point) => CropState.contains(crop, point));
    return one.objects.some((id) => crop.objects.includes(id));
  }

  /* Tells whether a crop is done: all that is doubtful in it was decided. */
  static isDone(crop, corrections) {
    const own = corrections.filter((one) => CropState.isAbout(one, crop));
    const decided = own.flatMap((one) => one.objects);
    const right = corrections.filter((one) => one.image === crop.image && one.action === "reviewed");
    if (CropState.covered(CropState.boxOf(crop), right.map((one) => one.box))) return true;
    // A part of a whole image is done when someone says that all in it is right.
    if (crop.kind === "part") return false;
    if (!crop.objects.length) return own.some((one) => one.action === "add");
    return crop.objects.every((id) => decided.includes(id));
  }
}
