"use strict";
/* Shows one picture: zoom, move, outlines that switch on and off, objects that can be chosen.

   The root holds an element .stage and buttons with data-action: in, out, fit, next, previous, close. Outlines lie in
   layers by name; each layer has a button, made here, and a key: its first letter.

   A tool, if there is one, gets what the pointer does: click(place, event), and where it draws boxes,
   box(first, last, over) while one is dragged. Places are [x, y] in pixels of the picture. */
class Viewer {
  static SVG = "http://www.w3.org/2000/svg";
  static UNITS = 2; // Of the outlines in a pixel of the picture.
  static MOST = 24; // Times that a picture is enlarged at most.

  /* options.onLeave("next" | "previous" | "close") and options.onChoose(layer, id, rest) are optional. */
  constructor(root, options = {}) {
    this.root = root;
    this.options = options;
    this.stage = root.querySelector(".stage");
    this.canvas = this.stage.appendChild(document.createElement("div"));
    this.canvas.className = "canvas";
    this.image = this.canvas.appendChild(document.createElement("img"));
    this.image.draggable = false;
    this.switches = root.querySelector(".switches");
    this.shown = {};
    this.pointers = new Map();
    this.moved = false;
    this.tool = null;
    this.width = this.height = this.scale = 1;
    this.x = this.y = 0;
    this.listen();
  }

  /* picture: {name, width, height, layers: {NAME: [[id, path, score], ...]}}; source: address of the pixels, or "". */
  show(picture, source, alt) {
    this.width = picture.width;
    this.height = picture.height;
    this.image.hidden = !source;
    this.image.src = source || "data:,";
    this.image.alt = source ? alt : "";
    for (const old of this.canvas.querySelectorAll("svg")) old.remove();
    this.switches.replaceChildren();
    this.canvas.append(Viewer.outlines(picture, true));
    for (const name of Object.keys(picture.layers)) this.addSwitch(name, picture.layers[name].length);
    this.fit();
  }

  /* Makes an SVG of all layers; `apart` gives each object a path of its own, that can be chosen. */
  static outlines(picture, apart) {
    const svg = document.createElementNS(Viewer.SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${picture.width * Viewer.UNITS} ${picture.height * Viewer.UNITS}`);
    svg.setAttribute("aria-hidden", "true");
    for (const [name, objects] of Object.entries(picture.layers)) {
      const group = svg.appendChild(document.createElementNS(Viewer.SVG, "g"));
      group.setAttribute("class", `layer layer-${name}`);
      group.dataset.layer = name;
      const all = objects.map((object) => object[1]).join("");
      // A dark rim below shows the outlines on bright ground, too.
      for (const kind of apart ? ["rim"] : ["rim", "outline"]) Viewer.addPath(group, all, kind);
      if (!apart) continue;
      for (const [id, path, ...rest] of objects) {
        const made = Viewer.addPath(group, path, `outline object hue-${id % 12}`);
        made.dataset.id = id;
        if (rest.length) made.dataset.score = rest[0];
      }
    }
    return svg;
  }

  static addPath(group, path, kind) {
    const made = group.appendChild(document.createElementNS(Viewer.SVG, "path"));
    made.setAttribute("d", path);
    made.setAttribute("class", kind);
    made.setAttribute("vector-effect", "non-scaling-stroke");
    return made;
  }

  addSwitch(name, count) {
    const button = this.switches.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = `switch switch-${name}`;
    button.dataset.layer = name;
    button.textContent = `${name} (${count})`;
    button.title = `Show or hide (${name[0]})`;
    button.setAttribute("aria-keyshortcuts", name[0]);
    button.addEventListener("click", () => this.toggle(name));
    this.toggle(name, this.shown[name] ?? true);
  }

  toggle(name, on = !this.shown[name]) {
    this.shown[name] = on;
    for (const layer of this.canvas.querySelectorAll("g.layer")) {
      if (layer.dataset.layer === name) layer.classList.toggle("off", !on);
    }
    for (const button of this.switches.children) {
      if (button.dataset.layer === name) button.setAttribute("aria-pressed", String(on));
    }
  }

  fit() {
    const { clientWidth, clientHeight } = this.stage;
    this.smallest = Math.min(clientWidth / this.width, clientHeight / this.height) || 1;
    this.scale = this.smallest;
    this.x = (clientWidth - this.width * this.scale) / 2;
    this.y = (clientHeight - this.height * this.scale) / 2;
    this.place();
  }

  /* Zooms, and keeps a place of the stage, by default its middle, where it is. */
  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const least = Math.min(this.smallest, 1) / 2;
    const scale = Math.min(Math.max(this.scale * factor, least), Viewer.MOST * Math.max(1, this.smallest));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.place();
  }

  move(x, y) {
    this.x += x;
    this.y += y;
    this.place();
  }

  place() {
    const { clientWidth, clientHeight } = this.stage;
    const [width, height] = [this.width * this.scale, this.height * this.scale];
    // A part of the picture stays in sight.
    this.x = Math.min(Math.max(this.x, 40 - width), clientWidth - 40);
    this.y = Math.min(Math.max(this.y, 40 - height), clientHeight - 40);
    Object.assign(this.canvas.style, {
      width: `${width}px`,
      height: `${height}px`,
      transform: `translate(${this.x}px, ${this.y}px)`,
    });
    this.canvas.classList.toggle("pixels", this.scale > 3);
    const share = this.root.querySelector(".zoom");
    if (share) share.textContent = `${Math.round(this.scale * 100)} %`;
  }

  choose(path) {
    for (const other of this.canvas.querySelectorAll(".chosen")) other.classList.remove("chosen");
    if (path) path.classList.add("chosen");
    const { id, score } = path ? path.dataset : {};
    if (this.options.onChoose) this.options.onChoose(path ? path.parentNode.dataset.layer : null, id, score);
  }

  leave(where) {
    if (this.options.onLeave) this.options.onLeave(where);
  }

  listen() {
    const actions = { in: () => this.zoom(1.5), out: () => this.zoom(1 / 1.5), fit: () => this.fit() };
    for (const button of this.root.querySelectorAll("[data-action]")) {
      const { action } = button.dataset;
      button.addEventListener("click", actions[action] || (() => this.leave(action)));
    }
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.press(event));
    this.stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, (event) => this.release(event));
    }
    this.stage.addEventListener("dblclick", (event) => this.tool || this.zoom(2, ...this.at(event)));
    this.stage.addEventListener("contextmenu", (event) => this.tool && event.preventDefault());
    new ResizeObserver(() => this.stage.clientWidth && this.fit()).observe(this.stage);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60;
    const keys = {
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.fit(),
      ArrowLeft: () => this.move(step, 0),
      ArrowRight: () => this.move(-step, 0),
      ArrowUp: () => this.move(0, step),
      ArrowDown: () => this.move(0, -step),
      n: () => this.leave("next"),
      PageDown: () => this.leave("next"),
      p: () => this.leave("previous"),
      PageUp: () => this.leave("previous"),
    };
    for (const name of Object.keys(this.shown)) keys[name[0]] = () => this.toggle(name);
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), ...this.at(event));
  }

  press(event) {
    if (event.button && !(this.tool && event.button === 2)) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    this.pinched = this.moved = this.pointers.size > 1;
    this.began = this.placeOf(event);
    this.target = document.elementsFromPoint(event.clientX, event.clientY).find((one) => one.matches(".object"));
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (Math.hypot(now[0] - before[0], now[1] - before[1]) < 3 && !this.moved) return;
    this.moved = true;
    this.pointers.set(event.pointerId, now);
    if (!others.length && this.tool && this.tool.box) {
      this.tool.box(this.began, this.placeOf(event), false);
      return;
    }
    if (!others.length) {
      this.move(now[0] - before[0], now[1] - before[1]);
      return;
    }
    // Two fingers: the place of the other one stays.
    const [x, y] = others[0][1];
    this.zoom(Math.hypot(now[0] - x, now[1] - y) / (Math.hypot(before[0] - x, before[1] - y) || 1), x, y);
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pinched || event.type !== "pointerup") return;
    if (this.moved && this.tool && this.tool.box) this.tool.box(this.began, this.placeOf(event), true);
    else if (!this.moved && this.tool) this.tool.click(this.began, event);
    else if (!this.moved) this.choose(this.target);
  }

  /* Gives the place of an event in the picture. */
  placeOf(event) {
    const [x, y] = this.at(event);
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /* Gives the place of an event on the stage. */
  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
}
