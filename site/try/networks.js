// The released networks: a UNet that predicts ab, and the sampler of the diffusion model.

/** A session of a graph whose weights lie in released files: { name: bytes }. */
export function session(ort, graph, weights) {
  const externalData = Object.entries(weights).map(([path, data]) => ({ path, data }));
  return ort.InferenceSession.create(graph, { executionProviders: ["wasm"], externalData });
}

/** The UNet's ab and decoder maps, as tensors, for L (h, w) in [0, 100]. */
export function see(ort, unet, L, h, w) {
  return unet.run({ L: new ort.Tensor("float32", L, [1, 1, h, w]) });
}

/** One answer of the diffusion model from its noise (2, h, w): ab in CIE units. */
export async function draw(ort, step, seen, noise, { times, spread }) {
  const { ab, y0, y1, y2 } = seen;
  const time = (t) => new ort.Tensor("float32", [t], [1]);
  let state = new ort.Tensor("float32", noise, ab.dims);
  for (let i = 0; i + 1 < times.length; i++) {
    const given = { state, now: time(times[i]), then: time(times[i + 1]), ab, y0, y1, y2 };
    state = (await step.run(given)).next;
  }
  const plane = noise.length / 2;
  return state.data.map((x, i) => x * spread[i < plane ? 0 : 1]);
}

/** Random numbers from a seed (mulberry32): uniform in (0, 1), and normal (Box and Muller). */
export function randomOf(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const normal = () =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

/**
 * `count` noises (2, h, w) that follow the lightness L (h, w), as `colorlab.noise.tonal_noise`
 * makes them.
 */
export function tonalNoise(L, h, w, { waves, reach, tones }, count, { uniform, normal }) {
  // In the order of the program, so that the same random numbers give the same noises.
  const list = (length, random) => Float64Array.from({ length }, () => random());
  const place = list(2 * waves, normal);
  const far = list(waves, normal);
  const of = list(waves, normal);
  const kin = list(waves, normal);
  const start = list(waves, uniform);
  const heights = Array.from({ length: count }, () => list(2 * waves, normal));
  for (let k = 0; k < waves; k++) {
    place[2 * k] /= Math.abs(far[k]) * reach;
    place[2 * k + 1] /= Math.abs(far[k]) * reach;
    of[k] /= Math.abs(kin[k]) * tones;
    start[k] *= 2 * Math.PI;
  }
  const noises = Array.from({ length: count }, () => new Float32Array(2 * h * w));
  const wave = new Float64Array(waves);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const tone = L[y * w + x];
      let power = 0;
      for (let k = 0; k < waves; k++) {
        wave[k] = Math.cos(start[k] + place[2 * k] * y + place[2 * k + 1] * x + of[k] * tone);
        power += wave[k] ** 2;
      }
      noises.forEach((noise, n) => {
        for (let c = 0; c < 2; c++) {
          let sum = 0;
          for (let k = 0; k < waves; k++) sum += heights[n][c * waves + k] * wave[k];
          noise[c * h * w + y * w + x] = sum / Math.sqrt(power);
        }
      });
    }
  return noises;
}
