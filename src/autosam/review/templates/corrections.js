"use strict";
/* The corrections of a review: those of the file, and new ones. The browser keeps them; they are written as CSV, or
   sent to the server that the page comes from.

   A correction is {id, image, action, objects, points, labels, box, mask, by}. Points are [row, column]. A new one has
   no id. */
class Corrections {
  static TOGETHER = ["accept", "delete", "merge"]; // An object can have several of these that say the same.
  static BOX = ["row_min", "col_min", "row_max", "col_max"];

  /* onChange() comes after each change, onTrouble(text) when something was not saved; "" when it is well again. */
  constructor(data, onChange, onTrouble) {
    Object.assign(this, { data, onChange, onTrouble });
    this.place = `autosam-review:${data.key}`;
    this.saved = data.corrections;
    this.fresh = [];
    this.dropped = new Set(); // What of the file was taken back, by content.
    this.seen = new Set();
    this.history = [];
    this.keeps = true; // Whether the browser does.
    this.load();
  }

  static content(one) {
    return JSON.stringify([one.action, one.image, one.objects, one.points, one.labels, one.box, one.mask]);
  }

  get all() {
    return [...this.saved.filter((one) => !this.dropped.has(Corrections.content(one))), ...this.fresh];
  }

  /* Tells whether the server does not know all yet. */
  get pending() {
    return this.data.served && Boolean(this.fresh.length || this.dropped.size);
  }

  /* Gives the last correction of an object. */
  of(image, object) {
    return this.all.findLast((one) => one.image === image && one.objects.includes(object));
  }

  /* Adds a correction in the place of those that it contradicts, and gives these. `crop` is where it was made. */
  add(given, crop) {
    const empty = { objects: [], points: [], labels: [], box: null, mask: "", by: "hand" };
    const one = { ...empty, ...given, id: "", results: this.data.results[given.image] };
    if (this.all.some((other) => Corrections.content(other) === Corrections.content(one))) return [];
    const together = Corrections.TOGETHER.includes(one.action);
    const removed = this.all.filter(
      (other) =>
        other.image === one.image &&
        other.objects.some((object) => one.objects.includes(object)) &&
        !(together && other.action === one.action),
    );
    removed.forEach((other) => this.drop(other));
    this.fresh.push(one);
    this.history.push({ one, removed, crop });
    this.change();
    return removed;
  }

  /* Takes the last correction back, and gives the crop in which it was made; undefined where there is none. */
  undo() {
    const last = this.history.pop();
    if (last === undefined) {
      const one = this.all.at(-1);
      if (one) this.remove(one);
      return undefined;
    }
    this.drop(this.all.find((one) => Corrections.content(one) === Corrections.content(last.one)) || last.one);
    for (const one of last.removed) this.restore(one);
    this.change();
    return last.crop;
  }

  remove(one) {
    this.history = this.history.filter((step) => Corrections.content(step.one) !== Corrections.content(one));
    this.drop(one);
    this.change();
  }

  drop(one) {
    if (this.saved.includes(one)) this.dropped.add(Corrections.content(one));
    else this.fresh = this.fresh.filter((other) => other !== one);
  }

  restore(one) {
    // What the server was told to take back has an id that is used up.
    if (!this.data.served && this.saved.includes(one)) this.dropped.delete(Corrections.content(one));
    else this.fresh.push({ ...one, id: "" });
  }

  change() {
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
      const known = new Set(this.saved.map(Corrections.content));
      this.fresh = (kept.fresh || []).filter((one) => !known.has(Corrections.content(one)));
      this.dropped = new Set((kept.dropped || []).filter((content) => known.has(content)));
      this.seen = new Set(kept.seen || []);
      localStorage.setItem(this.place, JSON.stringify(kept));
    } catch {
      // Some browsers keep nothing for files.
      this.keeps = false;
    }
  }

  keep() {
    try {
      const kept = { fresh: this.fresh, dropped: [...this.dropped], seen: [...this.seen] };
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

  /* Sends what the server does not know yet, one after the other. */
  async send() {
    if (this.sending) return;
    this.sending = true;
    try {
      for (;;) {
        const gone = this.saved.find((one) => this.dropped.has(Corrections.content(one)));
        const one = gone || this.fresh[0];
        if (!one) break;
        const reply = await post("corrections", gone ? { undo: gone.id } : one);
        if (reply.error && !reply.refused) {
          this.onTrouble(`Not saved yet: ${reply.error} The next correction tries again. A download keeps all of them.`);
          return;
        }
        this.settle(one, gone, reply);
        this.onTrouble(reply.error ? `Not saved: ${reply.error}` : "");
      }
    } finally {
      this.sending = false;
    }
  }

  settle(one, gone, reply) {
    if (gone) {
      this.dropped.delete(Corrections.content(gone));
      if (!reply.error) this.saved = this.saved.filter((other) => other !== gone);
    } else {
      const wanted = this.fresh.includes(one);
      this.fresh = this.fresh.filter((other) => other !== one);
      const known = { ...one, id: reply.id };
      if (!reply.error) this.saved.push(known);
      // It was taken back meanwhile.
      if (!reply.error && !wanted) this.dropped.add(Corrections.content(known));
    }
    this.keep();
    this.onChange();
  }
}

/* Asks the server; the reply has an error where it could not answer, and `refused` where it will not. */
async function post(what, body) {
  try {
    const headers = { "Content-Type": "application/json" };
    const reply = await fetch(what, { method: "POST", headers, body: JSON.stringify(body) });
    if (reply.ok || reply.status === 409) return await reply.json();
    return { error: `the server answers ${reply.status}; open its page again.` };
  } catch {
    return { error: "the server does not answer." };
  }
}
