// The canvas widget: pointer, keys and controls. Python solves; see colorlab/widgets/canvas.py.

const REST = 250; // ms after which a pointer that stays asks for colours
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let views = 0;

const decode = (bytes) => createImageBitmap(new Blob([bytes], { type: "image/png" }));

function render({ model, el }) {
  const [height, width] = model.get("picture_size");
  const longer = Math.max(width, height);
  const scale = Math.max(1, Math.round((2 * model.get("size")) / longer));
  const names = model.get("color_names");
  const id = `colorlab-canvas-${(views += 1)}`;
  const { listen, stop } = following(model);

  let tool = "brush";
  let lab = null; // the chosen colour; only its a and b are painted
  let at = [width / 2, height / 2];
  let [inside, byKeys] = [false, false];
  let gray = null; // 8-bit levels of the picture
  let [base, shownResult] = [null, 0];
  let restTimer = 0;

  // ---- pictures
  const surface = make("canvas", {
    class: "cl-surface",
    width: width * scale,
    height: height * scale,
    tabindex: "0",
    role: "application",
    "aria-label": `Gray picture, ${width} by ${height} pixels, to paint on`,
    "aria-describedby": `${id}-keys`,
  });
  const result = make("canvas", { class: "cl-result", width, height, role: "img" });
  const layer = new OffscreenCanvas(width * scale, height * scale).getContext("2d");
  const context = surface.getContext("2d");
  let frame = 0;
  const redraw = () => (frame ||= requestAnimationFrame(draw));
  function draw() {
    frame = 0;
    if (base) context.drawImage(base, 0, 0, surface.width, surface.height);
    drawStrokes(layer, book.all, scale);
    context.drawImage(layer.canvas, 0, 0);
    const keys = byKeys && document.activeElement === surface;
    if (inside || keys) drawBrush(context, at, tool === "ask" ? 1 : radius(), scale, keys);
  }
  decode(model.get("gray")).then((bitmap) => {
    base = bitmap;
    const small = new OffscreenCanvas(width, height).getContext("2d");
    small.drawImage(bitmap, 0, 0);
    gray = small.getImageData(0, 0, width, height).data;
    redraw();
  });
  const pixel = ([x, y]) => [
    Math.min(width - 1, Math.max(0, Math.floor(x))),
    Math.min(height - 1, Math.max(0, Math.floor(y))),
  ];
  function lightnessAt(place) {
    const [column, row] = pixel(place);
    const level = gray ? gray[4 * (row * width + column)] : 128;
    return rgbToLab([level, level, level])[0];
  }
  async function showResult() {
    const solve = model.get("solves");
    const bitmap = await decode(model.get("result"));
    if (solve < shownResult) return; // a later answer was decoded first
    shownResult = solve;
    result.getContext("2d").drawImage(bitmap, 0, 0);
    const count = model.get("strokes").length;
    result.setAttribute("aria-label", `The picture coloured from ${count} strokes`);
    result.dataset.solve = solve;
  }

  // ---- what the reader is told
  const status = make("p", { class: "cl-status", role: "status", "aria-live": "polite" });
  const where = make("p", { class: "cl-where", "aria-live": "off" });
  const say = (text, failed = false) => {
    status.textContent = text;
    status.classList.toggle("cl-failed", failed);
  };
  function tellPlace() {
    const [column, row] = pixel(at);
    const over = strokeAt(book.all, at);
    const painted = over?.ab ? `, painted ${nameAt(names, lightnessAt(at), over.ab)}` : "";
    const lightness = lightnessAt(at).toFixed(0);
    where.setAttribute("aria-live", byKeys ? "polite" : "off");
    where.textContent = `Column ${column}, row ${row}: lightness ${lightness}${painted}`;
  }

  const book = new StrokeBook(model, refresh, say);
  listen("strokes", () => book.take(model.get("strokes")));
  listen("solves", () => {
    book.answered();
    showResult();
  });
  function refresh() {
    // Not `disabled`: a button that is disabled loses the keyboard's focus.
    undo.setAttribute("aria-disabled", !book.past.length);
    redo.setAttribute("aria-disabled", !book.future.length);
    clear.setAttribute("aria-disabled", !book.strokes.length);
    redraw();
  }

  // ---- drawing
  function begin() {
    if (tool === "ask") return ask();
    clearTimeout(restTimer);
    const ab = tool === "erase" ? null : lab.slice(1).map(rounded);
    book.begin(at, radius(), ab);
  }
  function ask() {
    clearTimeout(restTimer);
    if (!model.get("suggests") || book.drawing) return;
    model.set("pointer", pixel(at));
    model.save_changes();
  }
  function moved() {
    if (book.drawing) book.extend(at);
    else if (tool !== "ask") {
      clearTimeout(restTimer);
      restTimer = setTimeout(ask, REST);
    }
    tellPlace();
    redraw();
  }

  function follow(event) {
    const box = surface.getBoundingClientRect();
    at = [
      ((event.clientX - box.left) * width) / box.width,
      ((event.clientY - box.top) * height) / box.height,
    ];
    byKeys = false;
  }
  const pointer = {
    pointerdown(event) {
      if (!event.isPrimary || event.button !== 0) return;
      event.preventDefault();
      surface.focus({ preventScroll: true });
      surface.setPointerCapture(event.pointerId);
      follow(event);
      inside = true;
      book.end(); // a pen that the keyboard left down
      begin();
    },
    pointermove(event) {
      if (!event.isPrimary) return;
      const steps = book.drawing ? event.getCoalescedEvents?.() : null;
      for (const step of steps?.length ? steps : [event]) {
        follow(step);
        book.extend(at);
      }
      inside = true;
      moved();
    },
    pointerup: (event) => event.isPrimary && book.end(),
    pointercancel: (event) => event.isPrimary && book.end(),
    pointerleave() {
      inside = false;
      clearTimeout(restTimer);
      redraw();
    },
    blur: () => (book.end(), redraw()),
    focus() {
      byKeys = surface.matches(":focus-visible");
      redraw();
    },
    keyup: (event) => event.key === " " && book.end(),
    keydown(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrow = ARROWS[event.key];
      byKeys = true;
      if (arrow) {
        const step = Math.max(1, longer / 64) * (event.shiftKey ? 4 : 1);
        at = at.map((v, i) => Math.min([width, height][i] - 0.5, Math.max(0.5, v + arrow[i] * step)));
        moved();
      } else if (event.key === " ") {
        if (!event.repeat && !book.drawing) begin();
      } else if (event.key === "Enter" && !event.shiftKey) {
        if (event.repeat) return;
        if (book.drawing) book.end();
        else begin();
        if (book.drawing) say("Pen down. Enter lifts it.");
      } else if (event.key === "Escape" && book.drawing) {
        book.end();
        event.stopPropagation();
      } else if (/^[1-5]$/.test(event.key)) {
        suggested.querySelectorAll("button")[event.key - 1]?.click();
        surface.focus();
      } else if (event.key === "[" || event.key === "]") {
        size.value = Number(size.value) + (event.key === "]" ? 1 : -1);
        resized();
      } else return;
      event.preventDefault();
    },
  };
  for (const [name, action] of Object.entries(pointer)) surface.addEventListener(name, action);

  // ---- controls
  const tools = [["brush", "Brush"], ["erase", "Eraser"]];
  if (model.get("suggests")) tools.push(["ask", "Ask"]);
  const toolbox = choice(`${id}-tool`, "Tool", tools, (value) => {
    tool = value;
    tellTool();
    redraw();
  });
  toolbox.select(tool);
  const size = make("input", {
    type: "range",
    min: "1",
    max: Math.max(4, Math.round(longer / 12)),
    value: Math.max(1, Math.round(longer / 64)),
    "aria-label": "Brush radius in pixels",
    input: () => resized(),
  });
  const sizeText = make("span", {});
  const radius = () => Number(size.value);
  function resized() {
    sizeText.textContent = `${radius()} px`;
    redraw();
  }
  const undo = button("Undo", () => book.undo());
  const redo = button("Redo", () => book.redo());
  const clear = button("Clear", () => book.clear());

  const palette = choice(
    `${id}-color`,
    "Colour",
    model.get("swatches").map((value, i) => [
      String(i),
      chip(labToRgb(value).rgb),
      nearestName(names, value),
    ]),
    (i) => take(model.get("swatches")[i], i),
  );
  const well = make("input", { type: "color", input: () => take(rgbToLab(fromHex(well.value))) });
  palette.row.append(make("label", { class: "cl-button cl-well" }, well, "any colour"));
  const caption = make("figcaption", {});
  const chosen = make("div", { class: "cl-chosen" });
  function take(value, swatch = null) {
    lab = value;
    palette.select(swatch);
    well.value = toHex(labToRgb(lab).rgb);
    if (tool !== "brush") toolbox.select((tool = "brush"));
    chosen.replaceChildren(...shades(names, lab));
    tellTool();
    redraw();
  }
  function tellTool() {
    const action = { brush: "Paint here: ", erase: "Erase here", ask: "Ask here" }[tool];
    const name = tool === "brush" ? [make("strong", {}, nearestName(names, lab))] : [];
    caption.replaceChildren(action, ...name);
  }

  const suggested = make("div", { class: "cl-row", role: "group", "aria-label": "Suggested colours" });
  function showSuggestions() {
    const { place = [], colors = [] } = model.get("suggestions");
    const L = place.length ? lightnessAt(place) : SHOWN_LIGHTNESS;
    const buttons = colors.map(([a, b, share], i) => {
      const node = button("", () => take([L, a, b]));
      const text = `${nameAt(names, L, [a, b])} ${(100 * share).toFixed(0)} %`;
      node.append(chip(labToRgb([L, a, b]).rgb), text, make("kbd", {}, String(i + 1)));
      return node;
    });
    const hint = buttons.length
      ? `Likely at column ${place[0]}, row ${place[1]}:`
      : "Likely colours: rest the pointer on the picture, or tap it with “Ask”.";
    suggested.replaceChildren(make("span", { class: "cl-label" }, hint), ...buttons);
  }
  listen("suggestions", showSuggestions);

  // ---- the page
  const root = make("div", { class: "colorlab-widget colorlab-canvas", style: `--cl-size:${model.get("size")}px` },
    make("div", { class: "cl-row cl-bar" },
      toolbox.row,
      make("label", { class: "cl-size" }, "Size", size, sizeText),
      make("div", { class: "cl-row" }, undo, redo, clear)),
    palette.row,
    make("div", { class: "cl-pictures", style: `--cl-ratio:${Math.min(1, width / height)}` },
      make("figure", {}, surface, caption),
      make("figure", {}, result, make("figcaption", {}, "Result"))),
    ...(model.get("suggests") ? [suggested] : []),
    make("div", { class: "cl-told" }, status, where),
    chosen,
    keyList(`${id}-keys`));
  root.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && !event.altKey && (key === "z" || key === "y")) {
      if (key === "y" || event.shiftKey) book.redo();
      else book.undo();
      event.preventDefault();
    } else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (key === "escape" || (key === "enter" && event.shiftKey)) return;
    event.stopPropagation(); // a letter or an arrow would be a command to the notebook
  });

  resized();
  take(model.get("swatches")[0], "0");
  showSuggestions();
  refresh();
  book.tell();
  showResult();
  el.append(root);
  return () => {
    book.stop();
    clearTimeout(restTimer);
    cancelAnimationFrame(frame);
    stop();
  };
}

export default { render };
