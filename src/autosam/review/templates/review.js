"use strict";
/* The review: one crop after the other, and what is said about it by buttons, keys and clicks. */
(() => {
  const { data, pictures, all } = Page;
  const byId = (id) => document.getElementById(id);
  const { crops, whole } = data;
  const sources = all("[data-crop] .frame").map((frame) => (frame.querySelector("img") || {}).src || "");
  const told = byId("told");
  let [at, chosen, unsaved] = [0, [], false];

  const tell = (text) => (told.textContent = text);
  const corrections = new Corrections(data, () => refresh(), trouble);
  const draft = new Draft(data.served, () => refresh(), tell);
  const viewer = new Viewer(byId("review"), { onLeave: (where) => step(where === "next" ? 1 : -1) });
  const view = new CropView(viewer);
  const crop = () => crops[at];
  const keyOf = (one) => [one.image, one.kind, one.objects, one.row, one.col].join("|");
  const listed = (ids) => `object${ids.length > 1 ? "s" : ""} ${ids.join(", ")}`;

  function trouble(text, again) {
    byId("troubles").textContent = text;
    byId("trouble").hidden = !text;
    byId("understood").hidden = !data.served;
    if (byId("saved")) byId("saved").hidden = Boolean(text);
    byId("understood").textContent = again ? "Try again" : "Close";
  }

  const stateOf = (one, known) => {
    if (CropState.isDone(one, known)) return "done";
    // It does not do to have seen a part of a whole image: someone has to call it right.
    return !whole && corrections.seen.has(keyOf(one)) ? "seen" : "";
  };

  // What is shown.
  function refresh() {
    const known = corrections.all;
    const [images, open] = [new Set(), new Set()];
    let looked = 0;
    all("#crops > li").forEach((item, number) => {
      const state = stateOf(crops[number], known);
      looked += Boolean(state);
      images.add(crops[number].image);
      if (!state) open.add(crops[number].image);
      item.dataset.state = state;
      item.querySelector(".state").textContent = state;
    });
    byId("looked").value = looked;
    const count = known.length;
    const listing = [`${looked} of ${crops.length} ${whole ? "parts called right" : "looked at"}`];
    if (whole) {
      listing.push(`${images.size - open.size} of ${images.size} image${images.size === 1 ? "" : "s"} complete`);
    }
    listing.push(`${count} correction${count === 1 ? "" : "s"}`);
    byId("advance").textContent = listing.join(", ");
    if (crops.length) showDecisions(known);
    if (!corrections.keeps && !data.served) {
      trouble("This browser keeps nothing for this page. Download the corrections before you close it.");
    }
  }

  function showDecisions(known) {
    const seen = (one) =>
      CropState.isAbout(one, crop()) ||
      (one.image === crop().image &&
        (CropState.reaches(one, crop()) ||
          one.points.some((point) => CropState.contains(crop(), point)) || one.objects.some((id) => view.ids.includes(id))));
    const here = known.filter(seen);
    view.decide((id) => (corrections.of(crop().image, id) || { action: "" }).action, chosen);
    view.mark([...here, { ...draft.shape, action: draft.mode }], draft.mode === "split" ? crop().points : []);
    byId("here").replaceChildren(...here.map(lineOf));
    byId("drawing").hidden = !draft.mode;
    byId("actions").hidden = Boolean(draft.mode);
    viewer.stage.classList.toggle("draws", Boolean(draft.mode));
    const sign = document.querySelector('[data-do="sign"]');
    sign.hidden = !draft.draws;
    sign.setAttribute("aria-pressed", String(draft.beside));
  }

  function lineOf(one) {
    const line = document.createElement("li");
    const words = { reviewed: "all is right", add: "added object" };
    line.append(`${words[one.action] || one.action} ${one.objects.length ? listed(one.objects) : ""}`);
    const button = line.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = "Undo";
    button.addEventListener("click", () => corrections.remove(one));
    return line;
  }

  function open(number) {
    if (!crops.length) return;
    if (number !== at) corrections.look(keyOf(crop()));
    at = number;
    draft.end();
    chosen = [...crop().objects];
    useTool();
    view.show(crop(), pictures[at], sources[at]);
    byId("where").textContent = `${at + 1} of ${crops.length}`;
    byId("kind").textContent = crop().kind;
    byId("why").textContent = crop().why;
    byId("image").textContent = crop().image;
    all("[data-crop]").forEach((one, place) => one.setAttribute("aria-current", String(place === at)));
    tell(chosen.length ? `Chosen: ${listed(chosen)}.` : "No object is chosen. Press a to add one, or c if all is right.");
    refresh();
    draft.prepare(crop());
  }

  function step(by) {
    if (draft.started) return tell("Enter saves what you have drawn, and Esc drops it.");
    open((at + by + crops.length) % crops.length);
  }

  function goOn() {
    const known = corrections.all;
    const order = crops.map((_, number) => (at + 1 + number) % crops.length);
    const next = order.find((number) => !stateOf(crops[number], known));
    if (next !== undefined && next !== at) open(next);
    else tell(whole ? "Every part on this page was called right." : "You have looked at all crops.");
  }

  // Actions.
  function record(action, given = {}) {
    const removed = corrections.add({ image: crop().image, action, ...given }, at);
    unsaved = true;
    const instead = removed.length ? ` in place of ${removed.map((one) => one.action).join(", ")}` : "";
    tell(`${action}${given.objects?.length ? ` ${listed(given.objects)}` : ""}${instead}.`);
  }

  function begin(wanted) {
    if (wanted !== "add" && !chosen.length) return tell("Choose an object first: click it.");
    if (wanted === "merge" && chosen.length > 1) return merge(chosen);
    if (wanted !== "add") chosen = chosen.slice(0, 1);
    draft.begin(wanted, crop().image, chosen);
    useTool();
    const hint = wanted === "split" && crop().points.length ? " Enter takes the two places that are marked." : "";
    tell(
      {
        merge: `Click the neighbor that belongs to object ${chosen[0]}.`,
        split: `Click two places on object ${chosen[0]}, one in each part.${hint}`,
        add: "Click the new object, or drag a box around it. Then press Enter.",
        redraw: `Click points on object ${chosen[0]}, with Shift beside it, or drag a box. Then press Enter.`,
      }[wanted],
    );
    refresh();
    return undefined;
  }

  function end() {
    draft.end();
    useTool();
    refresh();
  }

  const actions = {
    accept: () => {
      if (!chosen.length) return tell("Choose an object first: click it.");
      record("accept", { by: "model", objects: chosen });
      return whole ? undefined : goOn();
    },
    delete: () => {
      if (!chosen.length) return tell("Choose an object first: click it.");
      return record("delete", { objects: chosen });
    },
    merge: () => begin("merge"),
    split: () => begin("split"),
    redraw: () => begin("redraw"),
    add: () => begin("add"),
    reviewed: () => {
      record("reviewed", { box: CropState.boxOf(crop()) });
      goOn();
    },
    undo: () => {
      const place = corrections.undo();
      if (place !== undefined && place !== at) open(place);
      tell("The last correction is taken back.");
    },
    save: () => saveDraft(),
    drop: () => {
      end();
      tell("Dropped.");
    },
    sign: () => {
      draft.beside = !draft.beside;
      refresh();
    },
  };

  function saveDraft() {
    const { mode, points, fault, saved } = draft;
    if (mode === "split" && !points.length && crop().points.length === 2) {
      return crop().points.every((point) => view.idAt(point) === chosen[0])
        ? split(crop().points)
        : tell(`The places that are marked are not on object ${chosen[0]}: click two that are.`);
    }
    if (!draft.draws) return undefined;
    if (fault) return tell(fault);
    end();
    return record(mode, { by: "sam", objects: mode === "redraw" ? chosen : [], ...saved });
  }

  function merge(objects) {
    // Those that the crop does not show are not known here.
    const far = objects.slice(1).every((id) => {
      const gap = view.gap(objects[0], id);
      return gap > data.widest_gap && gap < Infinity;
    });
    if (far) return tell(`These objects lie more than ${data.widest_gap} pixels apart, and cannot be merged.`);
    end();
    return record("merge", { objects });
  }

  function split(points) {
    end();
    record("split", { objects: chosen, points, labels: points.map(() => 1) });
  }

  // Clicks and boxes.
  function useTool() {
    viewer.tool = draft.draws ? { click, box } : { click };
  }

  function click(place, event) {
    const point = view.toImage(place);
    if (!point) return undefined;
    const id = view.idAt(point);
    if (draft.draws) {
      draft.addPoint(point, !(event.shiftKey || event.button === 2 || draft.beside));
      return draft.ask();
    }
    if (draft.mode === "split") {
      if (id !== chosen[0]) return tell(`Click on object ${chosen[0]} itself.`);
      draft.addPoint(point, true);
      return draft.points.length > 1 ? split(draft.points) : refresh();
    }
    if (draft.mode === "merge") {
      if (!id || chosen.includes(id)) return tell(`Click the neighbor of object ${chosen[0]}.`);
      return merge([chosen[0], id]);
    }
    if (!id) chosen = [...crop().objects];
    else if (!event.shiftKey) chosen = [id];
    else chosen = chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id];
    const object = pictures[at].layers.objects.find((one) => one[0] === id);
    const score = object && object.length > 2 ? `, score ${object[2]}` : "";
    tell(chosen.length ? `Chosen: ${listed(chosen)}${chosen.length === 1 ? score : ""}.` : "No object is chosen.");
    return refresh();
  }

  function box(first, last, over) {
    const [one, other] = [view.toImage(first, true), view.toImage(last, true)].map((point) => point.map(Math.round));
    const low = one.map((value, axis) => Math.min(value, other[axis]));
    const high = one.map((value, axis) => Math.max(value, other[axis]));
    draft.box = [...low, ...high];
    if (over) draft.ask();
    else refresh();
  }

  // Buttons and keys.
  const keys = { y: "accept", d: "delete", m: "merge", s: "split", r: "redraw", a: "add", c: "reviewed", u: "undo" };
  const run = (action) => {
    const drawing = ["save", "drop", "sign"].includes(action);
    if (drawing !== Boolean(draft.mode) || (action === "sign" && !draft.draws)) return;
    actions[action]();
    viewer.stage.focus({ preventScroll: true });
  };
  all("[data-do]").forEach((button) => button.addEventListener("click", () => run(button.dataset.do)));
  all("[data-crop]").forEach((button) =>
    button.addEventListener("click", () => {
      open(Number(button.dataset.crop));
      byId("review").scrollIntoView({ block: "nearest" });
      viewer.stage.focus({ preventScroll: true });
    }),
  );
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || !crops.length) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      if (key === "z" && !draft.mode) run("undo");
      return;
    }
    if (key === "Enter" && event.target.closest("button, a")) return;
    const action = draft.mode ? { Enter: "save", Escape: "drop", x: "sign" }[key] : keys[key];
    if (action) {
      event.preventDefault();
      run(action);
    } else if (!byId("review").contains(event.target)) viewer.key(event);
  });
  byId("understood").addEventListener("click", () => corrections.understood());
  byId("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([corrections.csv()], { type: "text/csv" }));
    link.download = "corrections.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
  });
  addEventListener("beforeunload", (event) => {
    if (corrections.pending || (unsaved && !corrections.keeps && !data.served)) event.preventDefault();
  });

  if (!crops.length) refresh();
  const first = crops.findIndex((one) => !stateOf(one, corrections.all));
  at = Math.max(first, 0);
  open(at);
  if (data.served) corrections.send();
})();
