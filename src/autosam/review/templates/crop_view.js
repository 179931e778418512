"use strict";
/* One crop in a viewer: its ids, what was decided about its objects, and what is being drawn. */
class CropView {
  constructor(viewer) {
    this.viewer = viewer;
    this.over = viewer.canvas.appendChild(document.createElement("div"));
    this.over.className = "over";
  }

  show(crop, picture, source) {
    this.crop = crop;
    this.scales = [picture.width / crop.width, picture.height / crop.height];
    this.ids = new Int32Array(crop.width * crop.height);
    let at = 0;
    for (let run = 0; run < crop.runs.length; run += 2) {
      this.ids.fill(crop.runs[run], at, at + crop.runs[run + 1]);
      at += crop.runs[run + 1];
    }
    this.viewer.show(picture, source, `Part of ${crop.image}`);
  }

  /* From a place of the picture to [row, column] of the image, or null beside the crop. */
  toImage([x, y], clamp = false) {
    const { row, col, width, height } = this.crop;
    let [across, down] = [x / this.scales[0] - 0.5, y / this.scales[1] - 0.5];
    if (!clamp && (across < -0.5 || down < -0.5 || across > width - 0.5 || down > height - 0.5)) return null;
    across = Math.min(Math.max(across, 0), width - 1);
    down = Math.min(Math.max(down, 0), height - 1);
    return [down + row, across + col].map((value) => Math.round(value * 10) / 10);
  }

  /* Gives the id of the pixel that a point of the image lies in; 0 for background. */
  idAt([row, col]) {
    const [down, across] = [Math.ceil(row - 0.5) - this.crop.row, Math.ceil(col - 0.5) - this.crop.col];
    return this.ids[down * this.crop.width + across] || 0;
  }

  /* Gives the distance between the nearest pixels of two objects, as far as the crop shows them. */
  gap(one, other) {
    const [first, second] = [one, other].map((id) => this.borderOf(id));
    return first.reduce(
      (least, [down, across]) =>
        second.reduce((found, [row, col]) => Math.min(found, Math.hypot(row - down, col - across)), least),
      Infinity,
    );
  }

  borderOf(id) {
    const { width } = this.crop;
    const found = [];
    for (let at = this.ids.indexOf(id); at >= 0; at = this.ids.indexOf(id, at + 1)) {
      const around = [at - width, at + width, at % width ? at - 1 : -1, (at + 1) % width ? at + 1 : -1];
      if (around.some((place) => this.ids[place] !== id)) found.push([Math.floor(at / width), at % width]);
    }
    return found;
  }

  /* Draws decisions on the objects; decided(id) gives an action or "", chosen is a list of ids. */
  decide(decided, chosen) {
    for (const path of this.viewer.canvas.querySelectorAll(".object")) {
      const id = Number(path.dataset.id);
      path.dataset.decision = decided(id);
      path.classList.toggle("chosen", chosen.includes(id));
    }
  }

  /* Draws points, boxes and masks: of corrections, and of the draft. */
  mark(corrections, hints) {
    this.over.replaceChildren();
    for (const one of corrections) {
      if (one.mask) this.addMask(one.mask);
      if (one.box && one.action !== "reviewed") this.addBox(one.box);
      one.points.forEach((point, at) => this.addPoint(point, one.labels[at] ? "" : "beside"));
    }
    hints.forEach((point) => this.addPoint(point, "hint"));
  }

  addPoint(point, kind) {
    if (!CropState.contains(this.crop, point)) return;
    const mark = this.over.appendChild(document.createElement("span"));
    mark.className = `point ${kind}`;
    this.put(mark, point);
  }

  addBox([top, left, bottom, right]) {
    const box = this.over.appendChild(document.createElement("span"));
    box.className = "drawn-box";
    this.put(box, [top - 0.5, left - 0.5]);
    box.style.width = `${(100 * (right - left + 1)) / this.crop.width}%`;
    box.style.height = `${(100 * (bottom - top + 1)) / this.crop.height}%`;
  }

  put(element, [row, col]) {
    element.style.top = `${(100 * (row - this.crop.row + 0.5)) / this.crop.height}%`;
    element.style.left = `${(100 * (col - this.crop.col + 0.5)) / this.crop.width}%`;
  }

  /* Paints a mask, written as "ROW COL HEIGHT WIDTH: RUNS". */
  addMask(text) {
    const [place, runs] = text.split(":").map((part) => part.trim().split(/\s+/).map(Number));
    const [row, col, height, width] = place;
    const inside = new Uint8Array(height * width);
    runs.reduce((at, length, number) => {
      inside.fill(number % 2, at, at + length);
      return at + length;
    }, 0);
    const canvas = this.over.appendChild(document.createElement("canvas"));
    Object.assign(canvas, { width: this.crop.width, height: this.crop.height });
    const pen = canvas.getContext("2d");
    const has = (down, across) =>
      down >= 0 && across >= 0 && down < height && across < width && inside[down * width + across];
    for (let down = 0; down < height; down++) {
      for (let across = 0; across < width; across++) {
        if (!has(down, across)) continue;
        const inner =
          has(down - 1, across) && has(down + 1, across) && has(down, across - 1) && has(down, across + 1);
        pen.fillStyle = inner ? "rgba(62, 226, 124, 0.28)" : "rgba(62, 226, 124, 0.95)";
        pen.fillRect(col + across - this.crop.col, row + down - this.crop.row, 1, 1);
      }
    }
  }
}
