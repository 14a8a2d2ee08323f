// Three probabilities, and the best single prediction under four rules; see colorlab/widgets/triangle.py.

const LIGHTNESS = 58;
const EXTENT = 65; // of the ab plane, CIE units
const SIZE = 320; // pixels of the plane
const HALF = 1e-9; // what rounding may add to one half

const at = ([a, b]) => [((a + EXTENT) / (2 * EXTENT)) * SIZE, ((EXTENT - b) / (2 * EXTENT)) * SIZE];
const colorOf = (ab) => css(labToRgb([LIGHTNESS, ...ab]).rgb);

const mean = (points, prob) =>
  [0, 1].map((axis) => points.reduce((sum, point, k) => sum + prob[k] * point[axis], 0));

/** A minimiser of sum p |x - v|, the midpoint where it is not unique. */
function weightedMedian(values, prob) {
  const order = values.map((_, k) => k).sort((i, j) => values[i] - values[j]);
  const first = (share) => {
    let total = 0;
    return values[order.find((k) => (total += prob[k]) >= share) ?? order.at(-1)];
  };
  return (first(0.5 - HALF) + first(0.5 + HALF)) / 2;
}

/** The minimiser of sum p ||x - v||, as in colorlab/data/scenes/palettes.py. */
function geometricMedian(points, prob) {
  for (const point of points) {
    const pull = [0, 0];
    let here = 0;
    points.forEach((other, k) => {
      const away = [other[0] - point[0], other[1] - point[1]];
      const distance = Math.hypot(...away);
      if (distance > 0) away.forEach((v, axis) => (pull[axis] += (prob[k] * v) / distance));
      else here += prob[k];
    });
    if (Math.hypot(...pull) <= here) return point;
  }
  let x = mean(points, prob);
  for (let i = 0; i < 500; i += 1) {
    const weight = points.map(([a, b], k) => prob[k] / Math.max(Math.hypot(a - x[0], b - x[1]), 1e-9));
    const sum = weight.reduce((total, w) => total + w, 0);
    x = mean(points, weight.map((w) => w / sum));
  }
  return x;
}

const RULES = [
  ["mean (L2)", mean],
  ["median of a and of b (L1)", (points, prob) =>
    [0, 1].map((axis) => weightedMedian(points.map((point) => point[axis]), prob))],
  ["geometric median (Euclidean)", geometricMedian],
  ["mode (most probable)", (points, prob) => points[prob.indexOf(Math.max(...prob))]],
];
// Shapes around 0, so that marks differ without colour, and their sizes, so that none hides another.
const SHAPES = [
  ["circle", { r: 8 }],
  ["rect", { x: -6, y: -6, width: 12, height: 12 }],
  ["path", { d: "M0-8 7 5H-7Z" }],
  ["path", { d: "M0-7 6 0 0 7-6 0Z" }],
];

function svg(tag, properties = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(properties)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function render({ model, el }) {
  const { listen, stop } = following(model);
  const [names, points] = [model.get("names"), model.get("ab")];
  const sliders = names.map((name, k) => {
    const share = make("output", {});
    const handle = make("input", { type: "range", min: "0", max: "1", step: "0.05",
      "aria-label": `Weight of ${name}`, input: moved });
    return { name, handle, share, row: make("label", { class: "cl-weight" },
      make("i", { class: "cl-chip", style: `background:${colorOf(points[k])}` }), name, handle, share) };
  });
  function moved() {
    model.set("weights", sliders.map(({ handle }) => Number(handle.value)));
    model.save_changes();
  }

  // ---- the plane
  const ground = make("canvas", { class: "cl-ground", width: SIZE / 2, height: SIZE / 2 });
  const context = ground.getContext("2d");
  const image = context.createImageData(SIZE / 2, SIZE / 2);
  for (let i = 0; i < image.data.length; i += 4) {
    const [x, y] = [(i / 4) % (SIZE / 2), Math.floor(i / 2 / SIZE)];
    const ab = [(x + 0.5) / (SIZE / 2), 1 - (y + 0.5) / (SIZE / 2)].map((v) => (2 * v - 1) * EXTENT);
    const { rgb, fits } = labToRgb([LIGHTNESS, ...ab]);
    image.data.set([...(fits ? rgb.map((v) => 255 - 0.55 * (255 - v)) : [255, 255, 255]), 255], i);
  }
  context.putImageData(image, 0, 0);
  const ends = points.map((point) => {
    const [x, y] = at(point);
    return svg("circle", { cx: x, cy: y, fill: "white", stroke: "black" });
  });
  const marks = SHAPES.map(([tag, shape]) => svg(tag, { ...shape, stroke: "black" }));
  const plane = svg("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img" },
    svg("path", { d: `M0 ${SIZE / 2}H${SIZE}M${SIZE / 2} 0V${SIZE}`, stroke: "black", "stroke-width": 0.5 }),
    svg("polygon", { points: points.map(at).join(" "), fill: "none", stroke: "black" }),
    ...ends, ...marks,
    ...points.map((point, k) => {
      const [x, y] = at(point);
      return svg("text", { x, y: y - 18, "text-anchor": "middle" }, names[k]);
    }),
    svg("text", { x: SIZE - 6, y: SIZE / 2 - 5, "text-anchor": "end" }, "a: green to red"),
    svg("text", { x: SIZE / 2 + 6, y: 16 }, "b: blue to yellow"));

  // ---- the predictions
  const rows = RULES.map(([name], i) => {
    const [tag, shape] = SHAPES[i];
    const mark = svg(tag, { ...shape, stroke: "black" });
    const patch = make("i", { class: "cl-patch" });
    const text = make("span", {});
    const key = svg("svg", { viewBox: "-10 -10 20 20", width: 20, height: 20, "aria-hidden": "true" }, mark);
    return { name, mark, patch, text, row: make("li", {}, patch, key, text) };
  });

  function show() {
    const weights = model.get("weights").map((w) => w + 1e-9);
    const sum = weights.reduce((total, w) => total + w, 0);
    const prob = weights.map((w) => w / sum);
    sliders.forEach(({ name, handle, share }, k) => {
      handle.value = model.get("weights")[k];
      share.textContent = `${Math.round(100 * prob[k])} %`;
      handle.setAttribute("aria-valuetext", `${name} ${share.textContent}`);
      ends[k].setAttribute("r", Math.sqrt(12 + 210 * prob[k]));
    });
    const found = RULES.map(([, rule]) => rule(points, prob));
    rows.forEach(({ name, mark, patch, text }, i) => {
      const color = colorOf(found[i]);
      marks[i].setAttribute("transform", `translate(${at(found[i])})`);
      for (const node of [marks[i], mark]) node.setAttribute("fill", color);
      patch.style.background = color;
      text.textContent = `${name}: chroma ${Math.hypot(...found[i]).toFixed(0)}`;
    });
    plane.setAttribute("aria-label", model.get("alt"));
    root.dataset.found = JSON.stringify(found);
  }
  listen("weights", show);

  const root = make("div", { class: "colorlab-widget colorlab-triangle" },
    make("div", { class: "cl-weights" }, ...sliders.map(({ row }) => row)),
    make("div", { class: "cl-plane" }, ground, plane),
    make("ul", { "aria-live": "polite" }, ...rows.map(({ row }) => row)));
  keepKeys(root);
  show();
  el.append(root);
  return stop;
}

export default { render };
