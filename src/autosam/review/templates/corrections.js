"use strict";
/* The corrections of a review: those of the file, and steps that change them. The browser keeps the steps; all is
   written as CSV, or each step is sent to the server that the page comes from.

   A correction is {id, image, action, objects, points, labels, box, mask, by, results}. Points are [row, column]. A
   new one has no id. A step is {undo, add}: the contents of corrections to take back, and new corrections. */
class Corrections {
  static TOGETHER = ["accept", "delete", "merge"]; // An object can have several of these that say the same.
  static ALONE = ["accept", "delete"]; // They say something of each of their objects.
  static BOX = ["row_min", "col_min", "row_max", "col_max"];
  static contents = new WeakMap();

  /* onChange() comes after each change. onTrouble(text, again) comes when something was not saved, and tells whether
     it can be tried again; the text is "" when all is well. */
  constructor(data, onChange, onTrouble) {
    Object.assign(this, { data, onChange, onTrouble });
    this.place = `autosam-review:${data.key}`;
    this.saved = data.corrections;
    this.steps = []; // That the file does not have yet.
    this.history = []; // Steps of this visit, also those that were saved.
    this.sent = null; // The step that the server has now.
    this.refused = []; // What the server said of steps that it will never take.
    this.waiting = ""; // Why steps wait.
    this.seen = new Set();
    this.keeps = true; // Whether the browser does.
    this.load();
  }

  static content(one) {
    if (!Corrections.contents.has(one)) {
      const told = [one.action, one.image, one.objects, one.points, one.labels, one.box, one.mask];
      Corrections.contents.set(one, JSON.stringify(told));
    }
    return Corrections.contents.get(one);
  }

  static among(one, others) {
    return others.some((other) => Corrections.content(other) === Corrections.content(one));
  }

  /* Says what a step changes: the corrections that go, those that stay, and those that come. */
  static effect(step, standing) {
    const undone = new Set(step.undo);
    const gone = standing.filter((one) => undone.has(Corrections.content(one)));
    const left = standing.filter((one) => !undone.has(Corrections.content(one)));
    return { gone, left, come: step.add.filter((one) => !Corrections.among(one, left)) };
  }

  count() {
    this.all = this.steps.reduce((standing, step) => {
      const { left, come } = Corrections.effect(step, standing);
      return [...left, ...come];
    }, this.saved);
  }

  /* Tells whether the server does not know all yet. */
  get pending() {
    return this.data.served && Boolean(this.steps.length);
  }

  /* Gives the last correction of an object. */
  of(image, object) {
    return this.all.findLast((one) => one.image === image && one.objects.includes(object));
  }

  /* Adds a correction in the place of those that it contradicts, and gives these. `crop` is where it was made. */
  add(given, crop) {
    const empty = { objects: [], points: [], labels: [], box: null, mask: "", by: "hand" };
    const one = { ...empty, ...given, id: "", results: this.data.results[given.image] };
    if (Corrections.among(one, this.all)) return [];
    const together = Corrections.TOGETHER.includes(one.action);
    const removed = this.all.filter(
      (other) =>
        other.image === one.image &&
        other.objects.some((object) => one.objects.includes(object)) &&
        !(together && other.action === one.action),
    );
    const rests = removed
      .filter((other) => Corrections.ALONE.includes(other.action))
      .map((other) => ({ ...other, id: "", objects: other.objects.filter((object) => !one.objects.includes(object)) }))
      .filter((other) => other.objects.length);
    this.take({ undo: removed.map(Corrections.content), add: [...rests, one], removed, crop }, true);
    return removed;
  }

  /* Takes the last correction back, and gives the crop in which it was made; undefined where there is none. */
  undo() {
    let last = this.history.pop();
    // Some were taken back one by one.
    while (last && !last.add.some((one) => Corrections.among(one, this.all))) last = this.history.pop();
    if (last === undefined) {
      const one = this.all.at(-1);
      if (one) this.remove(one);
      return undefined;
    }
    if (this.steps.includes(last) && last !== this.sent) {
      this.steps = this.steps.filter((step) => step !== last);
      this.change();
    } else {
      // What was taken back in the file has an id that is used up.
      const again = last.removed.map((one) => ({ ...one, id: "" }));
      this.take({ undo: last.add.map(Corrections.content), add: again });
    }
    return last.crop;
  }

  remove(one) {
    this.take({ undo: [Corrections.content(one)], add: [] });
  }

  take(step, undoable = false) {
    this.steps.push(step);
    if (undoable) this.history.push(step);
    this.change();
  }

  change() {
    this.count();
    this.keep();
    this.onChange();
    if (this.data.served) this.send();
  }

  look(key) {
    this.seen.add(key);
    this.keep();
  }

  load() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.place) || "{}");
      // An earlier autosam kept all of it as one step.
      this.steps = kept.steps || [{ undo: kept.dropped || [], add: kept.fresh || [] }];
      this.seen = new Set(kept.seen || []);
      localStorage.setItem(this.place, JSON.stringify(kept));
    } catch {
      // Some browsers keep nothing for files.
      this.keeps = false;
    }
    this.count();
    // The file has them by now.
    const there = (ones, others) => ones.every((one) => Corrections.among(one, others));
    if (there(this.all, this.saved) && there(this.saved, this.all)) [this.steps, this.all] = [[], this.saved];
  }

  keep() {
    try {
      const kept = { steps: this.steps.map(({ undo, add }) => ({ undo, add })), seen: [...this.seen] };
      localStorage.setItem(this.place, JSON.stringify(kept));
    } catch {
      this.keeps = false;
    }
  }

  /* Gives all corrections as the text of corrections.csv. */
  csv() {
    let last = Math.max(0, ...this.all.map((one) => (/^\d+$/.test(one.id) ? Number(one.id) : 0)));
    const rows = this.all.flatMap((one) => this.rows(one, one.id || String(++last)));
    const lines = rows.map((row) => this.data.columns.map((name) => Corrections.cell(row[name])).join(","));
    return [this.data.columns.join(","), ...lines, ""].join("\n");
  }

  rows(one, id) {
    const { image, action, by, results } = one;
    const parts = one.points.map(([row, col], at) => ({ row, col, label: one.labels[at] }));
    if (one.box) parts.push(Object.fromEntries(Corrections.BOX.map((name, at) => [name, one.box[at]])));
    if (one.mask) parts.push({ mask: one.mask });
    if (!parts.length) parts.push({});
    const objects = one.objects.map((object) => ({ object }));
    const own = objects.length === 1 ? parts.map((part) => ({ ...objects[0], ...part })) : objects;
    return (own.length ? own : parts).map((cells) => ({ image, action_id: id, action, by, results, ...cells }));
  }

  static cell(value) {
    const text = value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /* Sends the steps that the server does not know yet, one after the other. */
  async send() {
    if (this.sent) return;
    this.waiting = "";
    while (this.steps.length && !this.waiting) {
      const step = this.steps[0];
      const effect = Corrections.effect(step, this.saved);
      const asked = { undo: effect.gone.map((one) => one.id), add: effect.come };
      this.sent = step;
      const reply = asked.undo.length || asked.add.length ? await post("corrections", asked) : { ids: [] };
      this.sent = null;
      if (reply.error && !reply.refused) this.waiting = `Not saved yet: ${reply.error}`;
      else this.settle(step, effect, reply);
      this.report();
    }
    this.report();
  }

  settle(step, { left, come }, reply) {
    this.steps = this.steps.filter((other) => other !== step);
    if (reply.error) {
      this.refused.push(`Not saved: ${reply.error}`);
      this.history = this.history.filter((other) => other !== step);
    } else {
      this.saved = [...left, ...come.map((one, at) => ({ ...one, id: reply.ids[at] }))];
    }
    this.count();
    this.keep();
    this.onChange();
  }

  report() {
    const more = this.waiting ? [`${this.waiting} The next correction tries again. A download keeps all of them.`] : [];
    this.onTrouble([...new Set(this.refused), ...more].join(" "), Boolean(this.waiting));
  }

  /* A person has read what was refused; what waits is tried again. */
  understood() {
    this.refused = [];
    this.report();
    this.send();
  }
}

/* Asks the server; the reply has an error where it could not answer, and `refused` where it will not. */
async function post(what, body, signal) {
  try {
    const headers = { "Content-Type": "application/json" };
    const reply = await fetch(what, { method: "POST", headers, body: JSON.stringify(body), signal });
    if (reply.ok || reply.status === 409) return await reply.json();
    return { error: `the server answers ${reply.status}; open its page again.` };
  } catch {
    return { error: "the server does not answer." };
  }
}
