"use strict";
/* What a person draws in a crop before it is saved: points, a box, and SAM's outline where a server answers.

   `mode` is "", or the action that it is for: add, redraw, split or merge. */
class Draft {
  /* onChange() comes when the outline changes, tell(text) says what became of a question. */
  constructor(served, onChange, tell) {
    Object.assign(this, { served, onChange, tell });
    this.preparing = new AbortController();
    this.number = 0; // Of the last question; answers to earlier ones come too late.
    this.end();
  }

  begin(mode, image, objects) {
    Object.assign(this, { mode, image, objects, points: [], labels: [], box: null, beside: false });
    this.forget();
  }

  end() {
    this.begin("", "", []);
    this.number += 1;
  }

  forget() {
    Object.assign(this, { mask: "", kept: true, nothing: false });
  }

  get draws() {
    return this.mode === "add" || this.mode === "redraw";
  }

  get started() {
    return Boolean(this.points.length || this.box);
  }

  addPoint(point, on) {
    this.points.push(point);
    this.labels.push(on ? 1 : 0);
  }

  /* Says what it lacks; "" where it can be saved. */
  get fault() {
    if (!this.started) return "Click a point or drag a box first.";
    if (this.mode === "add" && !this.box && !this.labels.includes(1)) return "A new object needs a point on it, or a box.";
    return this.nothing ? "SAM sees no object here: add points or a box, or press Esc." : "";
  }

  /* Gives what is drawn. */
  get shape() {
    const { points, labels, box, mask } = this;
    return { points, labels, box, mask };
  }

  /* Gives what is saved of it. */
  get saved() {
    return { ...this.shape, mask: this.kept ? this.mask : "" };
  }

  /* Lets the server see a crop before the first click; only the last one that was opened. */
  prepare({ image, row, col, height, width }) {
    if (!this.served) return;
    this.preparing.abort();
    this.preparing = new AbortController();
    post("prepare", { image, point: [row + (height - 1) / 2, col + (width - 1) / 2] }, this.preparing.signal);
  }

  /* Asks for an outline after each click or box. */
  async ask() {
    this.forget();
    this.onChange();
    if (!this.served) {
      this.tell("Enter saves it. autosam apply asks SAM for the outline.");
      return;
    }
    const number = ++this.number;
    const { image, points, labels, box } = this;
    const question = { image, objects: this.mode === "redraw" ? this.objects : [], points, labels, box };
    this.tell("Asking SAM …");
    let reply = await post("answer", question);
    while (reply.loading && number === this.number) {
      this.tell("The model is loading; your click waits.");
      await new Promise((resolve) => setTimeout(resolve, 400));
      reply = await post("answer", question);
    }
    if (number !== this.number) return;
    this.mask = reply.mask || "";
    this.nothing = Boolean(reply.nothing);
    this.kept = Boolean(reply.kept);
    const how = this.kept ? "it" : "the points or the box; the outline is too long for a file, and SAM is asked again";
    if (reply.error) this.tell(`SAM cannot answer: ${reply.error} Enter saves the points without an outline.`);
    else this.tell(this.nothing ? "SAM sees no object here." : `SAM's outline, score ${reply.score}. Enter saves ${how}.`);
    this.onChange();
  }
}
