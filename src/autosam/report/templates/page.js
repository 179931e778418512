"use strict";
/* What every page has: its data, the theme, and outlines over its pictures. */
const Page = (() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const { pictures } = data;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Theme: as the system has it, until the reader chooses.
  const themeButton = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const nameTheme = () => themeButton.setAttribute("aria-pressed", String(isDark()));
  try {
    const kept = localStorage.getItem("autosam-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch {
    // Some browsers keep nothing for files.
  }
  themeButton.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
    try {
      localStorage.setItem("autosam-theme", document.documentElement.dataset.theme);
    } catch {
      // As above.
    }
  });
  system.addEventListener("change", nameTheme);
  nameTheme();

  // Outlines over the pictures of the page; those far below are drawn when they come near.
  const frames = all("[data-picture]");
  const draw = (frame) => {
    if (!frame.dataset.drawn) frame.append(Viewer.outlines(pictures[frame.dataset.picture], false));
    frame.dataset.drawn = "yes";
  };
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "800px" },
  );
  frames.forEach((frame) => near.observe(frame));
  addEventListener("beforeprint", () => frames.forEach(draw));
  return { data, pictures, all };
})();
