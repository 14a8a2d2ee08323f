// The page's own code, in Node.js: inputs of a folder to outputs beside them. Of test_networks.py.

import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const [page, folder, checkpoints] = process.argv.slice(2);
// Not the page's copy: in Node.js it looks for files beside it, which a browser does not need.
const ort = await import(`${page}/../npm/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs`);
const { corrected } = await import(`${page}/hints.js`);
const { draw, see, session, tonalNoise } = await import(`${page}/networks.js`);
const { quarter, workingSize } = await import(`${page}/color.js`);
const json = (file) => JSON.parse(readFileSync(file));
const [told, files] = [json(`${page}/networks.json`), json(`${page}/files.json`)];
const unpacked = (name) => new Uint8Array(gunzipSync(readFileSync(`${page}/${files[name].url}`)));
const read = (name) => {
  const bytes = readFileSync(`${folder}/${name}`);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
};

ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = unpacked("ort.wasm");
const start = (name) => {
  const weights = Object.keys(told.networks[name].weights);
  const bytes = weights.map((file) => [file, new Uint8Array(readFileSync(`${checkpoints}/${file}`))]);
  return session(ort, unpacked(`${name}.onnx`), Object.fromEntries(bytes));
};
const [unet, step] = [await start("unet"), await start("step")];

const wanted = json(`${folder}/wanted.json`);
for (const { name, height, width, draws } of wanted.pictures) {
  const L = read(`${name}.L`);
  const seen = await see(ort, unet, L, height, width);
  writeFileSync(`${folder}/${name}.ab`, seen.ab.data);
  if (!draws) continue;
  const numbers = { normal: read(`${name}.normal`), uniform: read(`${name}.uniform`) };
  const next = (kind, i = 0) => () => numbers[kind][i++];
  const random = { normal: next("normal"), uniform: next("uniform") };
  const [h, w] = [height / 4, width / 4];
  const tone = quarter(L, h, w);
  const noises = tonalNoise(tone, h, w, told.noise, draws, random);
  const fixed = corrected({ data: seen.ab.data, h, w }, 1.5, tone, wanted.hints);
  writeFileSync(`${folder}/${name}.corrected`, fixed.data);
  for (const [i, noise] of noises.entries()) {
    writeFileSync(`${folder}/${name}.noise${i}`, noise);
    writeFileSync(`${folder}/${name}.draw${i}`, await draw(ort, step, seen, noise, told));
  }
}
const sizes = wanted.sizes.map(([h, w]) => workingSize(h, w, told.size, told.multiple));
writeFileSync(`${folder}/sizes.json`, JSON.stringify(sizes));
