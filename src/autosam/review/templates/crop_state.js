"use strict";
/* What corrections say about a crop of the page. */
class CropState {
  static covers(box, crop) {
    const [bottom, right] = [crop.row + crop.height - 1, crop.col + crop.width - 1];
    return !box || (box[0] <= crop.row && box[1] <= crop.col && box[2] >= bottom && box[3] >= right);
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
    if (one.action === "reviewed") return CropState.covers(one.box, crop);
    if (one.action === "add") return CropState.placesOf(one).some((point) => CropState.contains(crop, point));
    return one.objects.some((id) => crop.objects.includes(id));
  }

  /* Tells whether a crop is done: all that is doubtful in it was decided. */
  static isDone(crop, corrections) {
    const own = corrections.filter((one) => CropState.isAbout(one, crop));
    const decided = own.flatMap((one) => one.objects);
    if (own.some((one) => one.action === "reviewed")) return true;
    // A part of a whole image is done when someone says that all in it is right.
    if (crop.kind === "part") return false;
    if (!crop.objects.length) return own.some((one) => one.action === "add");
    return crop.objects.every((id) => decided.includes(id));
  }
}
