// What colorlab/color.py, colorlab/bands.py and the resizing of PyTorch do, for 8-bit pictures in
// rows of RGBA. Numbers here are doubles; tests compare the pictures with those of the program.

const FROM_RGB = [
  [0.412453 / 0.95047, 0.35758 / 0.95047, 0.180423 / 0.95047],
  [0.212671, 0.71516, 0.072169],
  [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
];
const TO_RGB = inverse(FROM_RGB);
const EPSILON = 0.008856;
const SLOPE = 7.787;
const ROOT = 0.2068966; // the cube root of EPSILON, as scikit-image rounds it
const MOST_STRETCH = 0.1;
const MOST_AREA = 16;
const BAND = 2 ** 20; // pixels, see colorlab.bands.MOST_PIXELS

const toLinear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const LINEAR = Float64Array.from({ length: 256 }, (_, i) => toLinear(i / 255));
// Where one 8-bit value becomes the next, in linear light; and the value at the start of each bin
// of linear light, so fine that at most one such place lies in a bin.
const NEXT = Float64Array.from({ length: 256 }, (_, i) => (i < 255 ? toLinear((i + 0.5) / 255) : 2));
const BINS = 4096;
const CODE = new Uint8Array(BINS + 1);
for (let i = 0, code = 0; i <= BINS; i++) {
  while (i / BINS >= NEXT[code]) code++;
  CODE[i] = code;
}

function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const cofactors = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  const determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0];
  return cofactors.map((row) => row.map((x) => x / determinant));
}

const curve = (r) => (r > EPSILON ? Math.cbrt(r) : SLOPE * r + 16 / 116);
const uncurve = (f) => (f > ROOT ? f * f * f : (f - 16 / 116) / SLOPE);

function encode(linear) {
  if (linear <= 0) return 0;
  if (linear >= 1) return 255;
  const code = CODE[Math.floor(linear * BINS)];
  return linear >= NEXT[code] ? code + 1 : code;
}

/** f(Y) of the RGBA pixel at byte `i`: L is 116 f(Y) - 16. */
const tone = (rgba, i) =>
  curve(
    FROM_RGB[1][0] * LINEAR[rgba[i]] +
      FROM_RGB[1][1] * LINEAR[rgba[i + 1]] +
      FROM_RGB[1][2] * LINEAR[rgba[i + 2]],
  );

/** [a, b] of an 8-bit colour. */
export function abOf(rgb) {
  const [fx, fy, fz] = FROM_RGB.map((row) =>
    curve(row.reduce((sum, x, i) => sum + x * LINEAR[rgb[i]], 0)),
  );
  return [500 * (fx - fy), 200 * (fy - fz)];
}

/** Rows of an image in bands: [{ top, rows }]. */
export function bandsOf(height, width) {
  const step = Math.max(1, Math.floor(BAND / width));
  const starts = Array.from({ length: Math.ceil(height / step) }, (_, i) => i * step);
  return starts.map((top) => ({ top, rows: Math.min(step, height - top) }));
}

/** [height, width] at which a network of training size `size` sees an image: `resize_to_area`. */
export function workingSize(height, width, size, multiple) {
  const even = (x) => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)); // as Python rounds
  const rounded = (side) => Math.max(multiple, even(side / multiple) * multiple);
  const scale = size / Math.sqrt(height * width);
  const wanted = [rounded(height * scale), rounded(width * scale)];
  const ratio = Math.max(height, width) / Math.min(height, width);
  const [short, long] = [Math.min(...wanted), Math.max(...wanted)];
  const stretch = (ratio * short) / long;
  if (stretch >= 1 / (1 + MOST_STRETCH) && stretch <= 1 + MOST_STRETCH) return wanted;
  const side = rounded(Math.min(ratio * short, (MOST_AREA * size ** 2) / short));
  return height < width ? [short, side] : [side, short];
}

/** Mean of L (4h, 4w) over squares of 4 x 4: (h, w). */
export function quarter(L, h, w) {
  return Float64Array.from({ length: h * w }, (_, i) => {
    const corner = 4 * Math.floor(i / w) * 4 * w + 4 * (i % w);
    let sum = 0;
    for (let k = 0; k < 16; k++) sum += L[corner + (k >> 2) * 4 * w + (k & 3)];
    return sum / 16;
  });
}

/** For each of `to` positions its first source position and its weights: bilinear, antialiased. */
function filters(from, to) {
  const scale = from / to;
  const support = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const center = scale * (i + 0.5);
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = new Float64Array(last - first);
    for (let k = 0; k < weights.length; k++)
      weights[k] = Math.max(0, 1 - Math.abs((k + first - center + 0.5) / support));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/** L of an image, resized to `h` x `w`; the image comes as bands of RGBA rows. */
export function resizedLightness(bands, height, width, h, w) {
  const across = filters(width, w);
  const narrow = new Float32Array(height * w);
  const line = new Float64Array(width);
  for (const { top, rows, rgba } of bands)
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < width; x++) line[x] = 116 * tone(rgba, 4 * (y * width + x)) - 16;
      for (let x = 0; x < w; x++) {
        const { first, weights } = across[x];
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * line[first + k];
        narrow[(top + y) * w + x] = sum;
      }
    }
  const L = new Float32Array(h * w);
  filters(height, h).forEach(({ first, weights }, y) => {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * w + x];
      L[y * w + x] = Math.min(100, Math.max(0, sum));
    }
  });
  return L;
}

/** Where pixel `i` of `to` lies among `from` positions: the one before, the one after, the share. */
function between(i, to, from) {
  const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
  const low = Math.floor(at);
  return [low, Math.min(low + 1, from - 1), at - low];
}

/**
 * Give a band of RGBA rows the colours of `ab` times `factor`, in place; their lightness stays.
 * `ab` { data, h, w } holds a, then b, in CIE units; it covers the whole image of `height` rows.
 */
export function paint({ top, rows, rgba }, height, width, ab, factor) {
  const { data, h, w } = ab;
  const plane = h * w;
  const columns = Array.from({ length: width }, (_, x) => between(x, width, w));
  const mixed = new Float64Array(2 * w);
  for (let y = 0; y < rows; y++) {
    const [above, below, down] = between(top + y, height, h);
    for (let c = 0; c < 2; c++)
      for (let x = 0; x < w; x++) {
        const [from, to] = [data[c * plane + above * w + x], data[c * plane + below * w + x]];
        mixed[c * w + x] = factor * (from + down * (to - from));
      }
    for (let x = 0; x < width; x++) {
      const [left, right, share] = columns[x];
      const a = mixed[left] + share * (mixed[right] - mixed[left]);
      const b = mixed[w + left] + share * (mixed[w + right] - mixed[w + left]);
      const i = 4 * (y * width + x);
      const fy = tone(rgba, i);
      const [X, Y, Z] = [uncurve(fy + a / 500), uncurve(fy), uncurve(fy - b / 200)];
      rgba[i] = encode(TO_RGB[0][0] * X + TO_RGB[0][1] * Y + TO_RGB[0][2] * Z);
      rgba[i + 1] = encode(TO_RGB[1][0] * X + TO_RGB[1][1] * Y + TO_RGB[1][2] * Z);
      rgba[i + 2] = encode(TO_RGB[2][0] * X + TO_RGB[2][1] * Y + TO_RGB[2][2] * Z);
    }
  }
}
