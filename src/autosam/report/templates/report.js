"use strict";
/* The report: outlines in the index, the viewer, tables that sort, a filter. */
(() => {
  const { pictures, all } = Page;
  const switches = all("[data-switch]");
  const setLayer = (layer, on) => {
    document.body.classList.toggle(`hide-${layer}`, !on);
    switches
      .filter((one) => one.dataset.switch === layer)
      .forEach((one) => one.setAttribute("aria-pressed", String(on)));
  };
  switches.forEach((button) =>
    button.addEventListener("click", () =>
      setLayer(button.dataset.switch, button.getAttribute("aria-pressed") !== "true"),
    ),
  );

  // The viewer.
  const dialog = document.getElementById("viewer");
  const titleOf = dialog.querySelector("h2");
  const told = dialog.querySelector(".told");
  let current = null;
  const viewer = new Viewer(dialog, {
    onLeave: (where) => (where === "close" ? dialog.close() : step(where === "next" ? 1 : -1)),
    onChoose: (layer, id, score) => {
      if (layer === null) told.textContent = told.dataset.plain;
      else told.textContent = `${layer === "truth" ? "true object" : "object"} ${id}${score ? `, score ${score}` : ""}`;
    },
  });
  const buttonsOf = (button) =>
    all(".open", button.closest("[data-index]")).filter((one) => !one.closest("[hidden]"));
  const open = (button) => {
    current = button;
    const frame = button.querySelector("[data-picture]");
    const picture = pictures[frame.dataset.picture];
    const image = frame.querySelector("img");
    titleOf.textContent = button.dataset.title;
    told.dataset.plain = told.textContent = button.dataset.about;
    if (!dialog.open) dialog.showModal();
    viewer.show(picture, image ? image.src : "", image ? image.alt : "");
    viewer.stage.focus();
  };
  const step = (by) => {
    const there = buttonsOf(current);
    if (!there.length) return;
    // The filter may hide the one that is open: then the first or the last one comes.
    const place = there.includes(current) ? there.indexOf(current) + by : Math.min(0, by);
    open(there[(place + there.length) % there.length]);
  };
  dialog.addEventListener("close", () => current && current.focus());
  all(".open").forEach((button) => button.addEventListener("click", () => open(button)));
  all("[data-opens]").forEach((link) =>
    link.addEventListener("click", () => {
      const button = document.querySelector(`#${link.dataset.opens} .open`);
      if (button) open(button);
    }),
  );

  // Tables: a button in each heading, that sorts up and down.
  const valueOf = (row, place) => {
    const cell = row.cells[place];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), "en", { numeric: true });
  all("table.sorts").forEach((table) => {
    const said = table.parentNode.nextElementSibling;
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, place) =>
      heading.querySelector("button").addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        headings.forEach((one) => one.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        const known = rows.filter((row) => row.cells[place].textContent.trim() !== "–");
        const unknown = rows.filter((row) => !known.includes(row));
        known.sort((a, b) => compare(valueOf(a, place), valueOf(b, place)) * (up ? 1 : -1));
        // What is not known comes last either way.
        table.tBodies[0].append(...known, ...unknown);
        said.textContent = `Sorted by ${heading.textContent.trim()}, ${up ? "ascending" : "descending"}.`;
      }),
    );
  });

  // The filter of images, for the index and for the table.
  const filter = document.getElementById("filter");
  const doubtful = document.getElementById("doubtful");
  const count = document.getElementById("filtered");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = doubtful !== null && doubtful.getAttribute("aria-pressed") === "true";
    let shown = 0;
    all("[data-filter]").forEach((item) => {
      const fits = words.every((word) => item.dataset.filter.toLowerCase().includes(word));
      item.hidden = !(fits && (!only || item.dataset.doubtful === "yes"));
      if (!item.hidden && item.matches(".card")) shown += 1;
    });
    count.textContent = words.length || only ? `${shown} shown` : "";
  };
  filter.addEventListener("input", apply);
  if (doubtful !== null) {
    doubtful.addEventListener("click", () => {
      doubtful.setAttribute("aria-pressed", String(doubtful.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }

  // Keys of the page; the viewer has its own.
  document.addEventListener("keydown", (event) => {
    if (dialog.open || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const button = switches.find((one) => one.dataset.switch[0] === event.key.toLowerCase());
    if (button) button.click();
  });
})();
