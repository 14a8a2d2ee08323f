// Parts of the canvas's page: a choice of one, the shades of a chroma, and the list of keys.

const SHADES = [20, 40, 60, 80, 92]; // lightnesses at which a chroma is shown
const KEYS = [
  ["Arrow keys", "move the brush, with Shift farther"],
  ["Space", "paint one dab; hold it and move to draw"],
  ["Enter", "pen down, then move to draw; Enter again: pen up"],
  ["1 to 5", "take a suggested colour"],
  ["[ and ]", "smaller, larger brush"],
  ["Ctrl+Z, Ctrl+Y", "undo, redo"],
];

/** A choice of one: native radio buttons, so that arrow keys and screen readers know them. */
function choice(group, legend, options, chosen) {
  const inputs = options.map(([value]) =>
    make("input", { type: "radio", name: group, value, change: () => chosen(value) }),
  );
  const labels = options.map(([, ...content], i) =>
    make("label", {}, inputs[i], make("span", { class: "cl-button" }, ...content)),
  );
  const row = make("div", { class: "cl-row", role: "radiogroup", "aria-label": legend }, ...labels);
  return { row, select: (value) => inputs.forEach((node) => (node.checked = node.value === value)) };
}

const chip = (rgb) => make("i", { class: "cl-chip", style: `background:${css(rgb)}` });

/** What chroma is called on a ground as light as L, after sRGB has clipped it. */
const nameAt = (names, L, ab) => nearestName(names, rgbToLab(labToRgb([L, ...ab]).rgb));

/** What a stroke of `lab`'s chroma becomes on dark to light ground. */
function shades(names, [lightness, ...ab]) {
  const [a, b] = ab.map((v) => String(Math.round(v)).replace("-", "−"));
  const fits = SHADES.map((L) => labToRgb([L, ...ab]).fits);
  const tiles = SHADES.map((L, i) => {
    const color = css(labToRgb([L, ...ab]).rgb);
    const frame = fits[i] ? "cl-tile" : "cl-tile cl-clipped";
    const tile = make("i", { class: frame, style: `background:${color}` });
    return make("li", {}, tile, nameAt(names, L, ab), make("small", {}, `L ${L}`));
  });
  const name = make("strong", {}, nearestName(names, [lightness, ...ab]));
  const note = fits.every(Boolean)
    ? ""
    : "Dashed: stronger than sRGB can show at that lightness, so it comes out weaker.";
  return [
    make("p", {}, "You paint ", name, ` (a ${a}, b ${b}). `,
      "The picture keeps its lightness, so this chroma becomes:"),
    make("ul", { "aria-label": "The chosen chroma at five lightnesses" }, ...tiles),
    make("p", { class: "cl-note" }, note),
  ];
}

function keyList(id) {
  const rows = KEYS.flatMap(([key, text]) => [make("dt", {}, key), make("dd", {}, text)]);
  return make("details", {}, make("summary", {}, "Keys"), make("dl", { id }, ...rows));
}
