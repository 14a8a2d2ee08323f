// The page: what the reader does becomes tasks of worker.js, and their results are shown.

import { abOf } from "./color.js";

const at = (id) => document.getElementById(id);
const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let asked = 0;

/** A task of worker.js. */
function ask(task, ...given) {
  return new Promise((resolve, reject) => {
    waiting.set(++asked, { resolve, reject });
    worker.postMessage({ id: asked, task, given });
  });
}
worker.onmessage = ({ data: { id, result, error, progress } }) => {
  if (progress) return showProgress(progress);
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  error === undefined ? resolve(result) : reject(new Error(error));
};
worker.onerror = () => tell("This browser is too old for this page, or blocks its scripts.", true);

const MEANINGS = {
  vivid: "The safest colours, turned up until they are nearly as colourful as photographs.",
  safest: "The network’s own guess: the least wrong on average, and a little pale.",
  several: "A second network draws four possible answers. None is more right than the others.",
};
const state = {
  photo: 0, // counts photographs, so that what comes late is not shown
  opening: 0, // files that are being read and coloured
  name: "",
  kind: "vivid",
  factor: 1,
  vivid: 1,
  answer: "unet", // or the number of one of several
  seed: 0,
  hints: [], // colours that the reader set: { x, y, ab, color }
};

/** What failed stays until the reader does something, whatever else still works. */
function tell(text, failed = false) {
  const status = at("status");
  if (!failed && status.classList.contains("failed")) return;
  status.textContent = text;
  status.classList.toggle("failed", failed);
  if (failed) status.scrollIntoView({ block: "nearest" });
}

function forget() {
  if (!at("status").classList.contains("failed")) return;
  at("status").classList.remove("failed");
  tell("");
}

function showProgress({ done, total }) {
  const bar = at("progress");
  bar.hidden = done >= total;
  [bar.max, bar.value] = [total, done];
  if (bar.hidden || !state.waits) return;
  tell(`Loading the networks: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`);
}

/** Do something for the photograph of now; errors are told, results that come late left alone. */
async function attempt(action) {
  const photo = state.photo;
  forget();
  try {
    state.waits = true;
    await action(() => photo !== state.photo);
  } catch (error) {
    if (photo === state.photo) tell(error.message, true);
  } finally {
    if (photo === state.photo) state.waits = false;
  }
}

function put(canvas, picture) {
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

/** Read a file. Where that fails, the photograph of before stays. */
async function open(file, name = file.name || "The photograph", note = "") {
  forget();
  tell(`Reading ${name} …`);
  at("status").scrollIntoView({ block: "nearest" });
  state.opening++;
  at("work").inert = true; // until there is something to control
  try {
    const read = await ask("open", file, name);
    state.photo++;
    await attempt((late) => begin(name, read, note, late));
  } catch (error) {
    tell(error.message, true);
  } finally {
    at("work").inert = --state.opening > 0;
  }
}

async function begin(name, { width, height, gray }, note, late) {
  const began = performance.now();
  Object.assign(state, { name, answer: "unet", hints: [] });
  mark();
  put(at("before"), gray);
  put(at("after"), gray);
  at("frame").style.aspectRatio = `${width} / ${height}`;
  at("frame").style.setProperty("--shape", width / height);
  at("start").hidden = true;
  at("work").hidden = false;
  at("several").hidden = true;
  at("answers").replaceChildren();
  document.querySelector("[name=kind][value=vivid]").checked = true;
  tell("Colouring …");
  try {
    state.vivid = (await ask("colour")).vivid;
  } catch (error) {
    at("start").hidden = late();
    at("work").hidden = !late();
    throw error;
  }
  if (late()) return;
  await choose("vivid");
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (!late()) tell(`${name}: ${width} × ${height} pixels, coloured in ${seconds} s.${note}`);
}

// ---- what is shown

let showing = null; // the last wish, where one is being fulfilled
async function show() {
  const before = showing;
  const { photo, answer, factor, hints } = state;
  showing = { photo, answer, factor, hints };
  if (before) return; // the loop below takes the newest wish
  try {
    let done = null;
    while (done !== showing) {
      done = showing;
      const { picture } = await ask("show", done.answer, done.factor, done.hints);
      if (done.photo === state.photo) put(at("after"), picture);
    }
  } finally {
    showing = null;
  }
}

function setFactor(factor) {
  state.factor = factor;
  at("strength").value = factor;
  at("told").textContent = `× ${factor.toFixed(2)}`;
}

async function choose(kind) {
  state.kind = kind;
  at("meaning").textContent = MEANINGS[kind];
  setFactor(kind === "vivid" ? state.vivid : 1);
  at("several").hidden = kind !== "several";
  if (kind !== "several") {
    tell("");
    state.answer = "unet";
    return show();
  }
  const drawn = [...at("answers").children];
  if (drawn.length < ANSWERS) return several();
  tell(CHOOSE);
  await pick(drawn.findIndex((button) => button.ariaPressed === "true"));
}

const ANSWERS = 4;
const CHOOSE = "Four answers. Choose one to see it large.";
async function several() {
  const box = at("answers");
  box.replaceChildren();
  at("again").disabled = true;
  const { photo } = state;
  const [seed] = crypto.getRandomValues(new Uint32Array(1));
  const late = () => photo !== state.photo || state.kind !== "several" || seed !== state.seed;
  state.seed = seed;
  for (let i = 0; i < ANSWERS && !late(); i++) {
    tell(`Answer ${i + 1} of ${ANSWERS} …`);
    await ask("sample", i, seed);
    if (late()) return;
    const { picture } = await ask("show", i, 1, []);
    if (late()) return;
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = Math.max(1, Math.round((320 * picture.height) / picture.width));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const button = document.createElement("button");
    button.type = "button";
    button.append(canvas, `Answer ${i + 1}`);
    button.addEventListener("click", () => attempt(() => pick(i)));
    box.append(button);
    if (i === 0) await pick(0);
  }
  if (late()) return;
  at("again").disabled = false;
  tell(CHOOSE);
}

function pick(number) {
  [...at("answers").children].forEach((button, i) =>
    button.setAttribute("aria-pressed", String(i === number)),
  );
  state.answer = number;
  return show();
}

// ---- what the reader does

at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  at("file").value = ""; // the same file may be chosen again
  if (file) open(file);
});
at("another").addEventListener("click", () => at("file").click());
for (const radio of document.querySelectorAll("[name=kind]"))
  radio.addEventListener("change", () => attempt(() => choose(radio.value)));
at("again").addEventListener("click", () => attempt(several));
at("strength").addEventListener("input", () => {
  setFactor(Number(at("strength").value));
  attempt(show);
});

at("save").addEventListener("click", () =>
  attempt(async () => {
    tell("Colouring at full size …");
    at("save").disabled = true;
    const type = at("type").value;
    try {
      const { blob } = await ask("save", state.answer, state.factor, state.hints, type);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      const stem = state.name.replace(/\.[^.]*$/, "");
      link.download = `${stem}-colored.${type === "image/png" ? "png" : "jpg"}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      tell(`${link.download}: ${(blob.size / 1e6).toFixed(1)} MB.`);
    } finally {
      at("save").disabled = false;
    }
  }),
);

// Where gray ends and colour begins: the slider, or a pointer on the photograph.
function divide(percent) {
  const value = Math.min(100, Math.max(0, Math.round(percent)));
  at("place").value = value;
  at("place").setAttribute("aria-valuetext", `${value} % gray, ${100 - value} % colour`);
  at("frame").style.setProperty("--at", `${value}%`);
}
divide(50);
at("place").addEventListener("input", () => divide(Number(at("place").value)));
const follow = ({ clientX }) => {
  const box = at("frame").getBoundingClientRect();
  divide((100 * (clientX - box.left)) / box.width);
};
at("frame").addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  if (at("correct").open) {
    const box = at("frame").getBoundingClientRect();
    return set((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }
  at("frame").setPointerCapture(event.pointerId);
  follow(event);
});
at("frame").addEventListener("pointermove", (event) => {
  if (at("frame").hasPointerCapture(event.pointerId)) follow(event);
});

// Colours that the reader sets: by a click, or by keys that move a mark.
const SWATCHES = {
  red: "#c0392b", orange: "#d9822b", skin: "#d8a48a", yellow: "#d9c23c",
  green: "#4f8f3a", blue: "#3f7fc4", violet: "#7b57b0", gray: "#808080",
};
const aim = { x: 0.5, y: 0.5 };

function set(x, y) {
  const color = at("own").value;
  const rgb = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  Object.assign(aim, { x, y });
  change([...state.hints, { x, y, ab: abOf(rgb), color }]);
}

function change(hints) {
  state.hints = hints;
  mark();
  return attempt(show);
}

function mark() {
  for (const old of at("frame").querySelectorAll("b")) old.remove();
  const marks = state.hints.map(({ x, y, color }) => [x, y, color, ""]);
  if (at("correct").open) marks.push([aim.x, aim.y, "transparent", "aim"]);
  for (const [x, y, color, name] of marks) {
    const dot = Object.assign(document.createElement("b"), { className: name });
    Object.assign(dot.style, { left: `${100 * x}%`, top: `${100 * y}%`, background: color });
    at("frame").append(dot);
  }
  at("undo").disabled = at("clear").disabled = !state.hints.length;
}

for (const [name, color] of Object.entries(SWATCHES)) {
  const button = Object.assign(document.createElement("button"), { type: "button", title: name });
  button.setAttribute("aria-label", name);
  button.style.background = color;
  button.addEventListener("click", () => pickColour(color));
  at("swatches").append(button);
}
function pickColour(color) {
  at("own").value = color;
  for (const button of at("swatches").children)
    button.setAttribute("aria-pressed", String(SWATCHES[button.title] === color));
}
pickColour(SWATCHES.red);
at("own").addEventListener("input", () => pickColour(at("own").value));
at("undo").addEventListener("click", () => change(state.hints.slice(0, -1)));
at("clear").addEventListener("click", () => change([]));
at("correct").addEventListener("toggle", () => {
  const { open } = at("correct");
  divide(open ? 0 : 50);
  const keys = "Photograph. Arrow keys move the mark, Enter sets the colour there";
  at("frame").role = open ? "application" : "img";
  at("frame").ariaLabel = open ? keys : "Left the gray photograph, right its colours";
  at("frame").tabIndex = open ? 0 : -1;
  at("frame").classList.toggle("aiming", open);
  mark();
});
at("frame").addEventListener("keydown", (event) => {
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  if (!at("correct").open || !(x || y || event.key === "Enter")) return;
  event.preventDefault();
  if (event.key === "Enter") return set(aim.x, aim.y);
  const step = event.shiftKey ? 0.1 : 0.02;
  aim.x = Math.min(1, Math.max(0, aim.x + step * x));
  aim.y = Math.min(1, Math.max(0, aim.y + step * y));
  mark();
});

// A file may be dropped anywhere, or pasted.
for (const kind of ["dragenter", "dragover"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer);
});
document.addEventListener("paste", ({ clipboardData }) => take(clipboardData));
function take(data) {
  const [file, ...others] = data?.files ?? [];
  if (file) open(file, undefined, others.length ? " One photograph at a time: it is the first of those." : "");
  else if (data?.types.length) tell("No photograph in that. Choose one, or drop a file from a folder.", true);
}

// ---- examples, and the next visit without a network

async function examples() {
  const samples = await fetch("samples.json").then((answer) => answer.json());
  for (const { file, title, year } of samples) {
    const picture = Object.assign(new Image(), { src: file, alt: title, title: `${title}, ${year}` });
    const button = document.createElement("button");
    button.type = "button";
    button.append(picture);
    button.addEventListener("click", () =>
      attempt(async () => open(await fetch(file).then((answer) => answer.blob()), title)),
    );
    const item = document.createElement("li");
    item.append(button);
    at("samples").append(item);
  }
}
examples();
navigator.serviceWorker?.register("sw.js").catch(() => {}); // without it, the page needs a network
