// All that takes time: decoding, the networks, colours of every pixel, the file to download.

import { bandsOf, paint, quarter, resizedLightness, workingSize } from "./color.js";
import { bytesOf, load } from "./files.js";
import { corrected } from "./hints.js";
import { draw, randomOf, see, session, tonalNoise } from "./networks.js";
import * as ort from "./ort.wasm.bundle.min.mjs";

const MOST_PIXELS = 50_000_000; // as colorlab.data.reading
const PREVIEW = 1600; // longest side of what the page shows
const DRAWS = 4;
const GRAY = { data: new Float32Array(2), h: 1, w: 1 };

let told; // networks.json
let photo = null; // { name, bitmap, preview, L, h, w, answers }, L at the size of the answers
const sessions = {};

function network(name) {
  sessions[name] ??= start(name).catch((error) => {
    delete sessions[name]; // the next try may find the network again
    throw new Error(`The networks could not be loaded. Check the connection and try again. (${error.message})`);
  });
  return sessions[name];
}

async function start(name) {
  told ??= await fetch("networks.json").then((answer) => answer.json());
  const weights = Object.keys(told.networks[name].weights);
  const runtime = ort.env.wasm.wasmBinary ? [] : ["ort.wasm"];
  const names = [...runtime, `${name}.onnx`, ...weights];
  const total = await bytesOf(names);
  let done = 0;
  const progress = (more) => postMessage({ progress: { done: (done += more), total } });
  const bytes = await Promise.all(names.map((file) => load(file, progress)));
  const of = Object.fromEntries(names.map((file, i) => [file, bytes[i]]));
  if (runtime.length) {
    ort.env.wasm.wasmBinary = of["ort.wasm"];
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  }
  postMessage({ progress: { done: total, total } });
  return session(ort, of[`${name}.onnx`], Object.fromEntries(weights.map((file) => [file, of[file]])));
}

function canvasOf(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser has no memory left for a photograph of that size.");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // beneath what is transparent
  return [canvas, context];
}

/** The photograph at its own size, band by band: all of it may not fit into one canvas. */
function* bandsOfPhoto({ bitmap }) {
  const { width, height } = bitmap;
  const bands = bandsOf(height, width);
  const [, context] = canvasOf(width, bands[0].rows);
  for (const { top, rows } of bands) {
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    yield { top, rows, image: context.getImageData(0, 0, width, rows) };
  }
}

function* rgbaOf(bands) {
  for (const { top, rows, image } of bands) yield { top, rows, rgba: image.data };
}

const tasks = {
  /** Read a file; its gray image at preview size. */
  async open(file, name) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file); // turned as EXIF says, in the colours of sRGB
    } catch {
      const why = "is not an image that this browser can read. Try a JPEG, PNG or WebP file.";
      throw new Error(`${name} ${why}`);
    }
    const { width, height } = bitmap;
    if (width * height > MOST_PIXELS) {
      bitmap.close();
      const has = `has ${Math.round((width * height) / 1e6)} million pixels`;
      throw new Error(`${name} ${has}; at most ${MOST_PIXELS / 1e6} million are coloured. Make it smaller first.`);
    }
    const scale = Math.min(1, PREVIEW / Math.max(width, height));
    const size = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
    const [, context] = canvasOf(...size);
    context.fillRect(0, 0, ...size);
    context.drawImage(bitmap, 0, 0, ...size);
    photo?.bitmap.close();
    photo = { name, bitmap, preview: context.getImageData(0, 0, ...size), answers: {} };
    return { width, height, gray: await preview(GRAY, 1) };
  },

  /** The UNet's prediction. */
  async colour() {
    const of = photo;
    const unet = await network("unet");
    const { width, height } = of.bitmap;
    const [h, w] = workingSize(height, width, told.size, told.multiple);
    const L = resizedLightness(rgbaOf(bandsOfPhoto(of)), height, width, h, w);
    of.seen = await see(ort, unet, L, h, w);
    [of.h, of.w] = [h / 4, w / 4];
    of.L = quarter(L, of.h, of.w);
    of.answers.unet = { data: of.seen.ab.data, h: of.h, w: of.w };
    return { vivid: told.vivid };
  },

  /** One of several answers: sample `number` of the diffusion model. */
  async sample(number, seed) {
    const of = photo;
    const step = await network("step");
    const { h, w } = of;
    if (of.seed !== seed) of.noises = tonalNoise(of.L, h, w, told.noise, DRAWS, randomOf(seed));
    of.seed = seed;
    const data = await draw(ort, step, of.seen, of.noises[number], told);
    of.answers[number] = { data, h, w };
  },

  /** An answer at preview size, its ab times `factor`, with the colours that the reader set. */
  async show(answer, factor, hints) {
    return { picture: await preview(...chosen(answer, factor, hints)) };
  },

  /** The same at full size, as a file. */
  async save(answer, factor, hints, type) {
    const { bitmap } = photo;
    const colours = chosen(answer, factor, hints);
    const [canvas, context] = canvasOf(bitmap.width, bitmap.height);
    for (const { top, rows, image } of bandsOfPhoto(photo)) {
      const band = { top, rows, rgba: image.data };
      paint(band, bitmap.height, bitmap.width, ...colours);
      context.putImageData(image, 0, top);
    }
    return { blob: await canvas.convertToBlob({ type, quality: 0.95 }) };
  },
};

function chosen(answer, factor, hints) {
  const ab = photo.answers[answer];
  return hints.length ? [corrected(ab, factor, photo.L, hints), 1] : [ab, factor];
}

async function preview(ab, factor) {
  const { width, height, data } = photo.preview;
  const rgba = data.slice();
  paint({ top: 0, rows: height, rgba }, height, width, ab, factor);
  return createImageBitmap(new ImageData(rgba, width, height));
}

// Ready before there is a photograph, unless the reader asked the browser to save data. What fails
// here is told when it is needed.
if (!navigator.connection?.saveData) network("unet").catch(() => {});

// One task at a time, in order: each of them changes or reads the photograph.
let queue = Promise.resolve();
onmessage = ({ data: { id, task, given } }) => {
  queue = queue.then(async () => {
    try {
      const result = (await tasks[task](...given)) ?? {};
      const moved = Object.values(result).filter((value) => value instanceof ImageBitmap);
      postMessage({ id, result }, moved);
    } catch (error) {
      postMessage({ id, error: error.message ?? String(error) });
    }
  });
};
