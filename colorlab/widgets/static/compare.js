// One picture over another, and a handle between them: the same spot before and after.

/** `set({before, after, names, alt})` shows a pair; names are [left, right]. */
function comparison({ size, moved = () => {} }) {
  const under = picture({ class: "cl-after" });
  const over = picture({ class: "cl-before" });
  const line = make("i", { class: "cl-divider" });
  const frame = make("div", { class: "cl-compare", role: "img" }, under.node, over.node, line);
  const left = make("span", { class: "cl-name" });
  const right = make("span", { class: "cl-name" });
  const handle = make("input", { type: "range", min: "0", max: "100", step: "1" });
  let names = ["before", "after"];

  function place(percent) {
    const value = Math.min(100, Math.max(0, Math.round(percent)));
    handle.value = value;
    frame.style.setProperty("--cl-at", `${value}%`);
    handle.setAttribute("aria-valuetext", `${value} % ${names[0]}, ${100 - value} % ${names[1]}`);
    return value;
  }
  handle.addEventListener("input", () => moved(place(Number(handle.value))));
  const follow = (event) => {
    const box = frame.getBoundingClientRect();
    moved(place((100 * (event.clientX - box.left)) / box.width));
  };
  frame.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    follow(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) follow(event);
  });

  async function set(pair) {
    names = pair.names;
    left.textContent = names[0];
    right.textContent = names[1];
    frame.setAttribute("aria-label", pair.alt);
    handle.setAttribute("aria-label", `How much of the picture shows ${names[0]}`);
    place(Number(handle.value));
    await Promise.all([under.show(pair.after, ""), over.show(pair.before, "")]);
    frame.dataset.shown = Number(frame.dataset.shown ?? 0) + 1;
  }
  const legend = make("div", { class: "cl-names" }, left, handle, right);
  const node = make("div", { class: "cl-comparison", style: `--cl-size:${size}px` }, frame, legend);
  return { node, place, set, free: () => (under.free(), over.free()) };
}
