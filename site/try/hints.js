// Colours that the reader sets: what they change at one place, kriging carries to places that are
// near and of like lightness. Features, covariance and constants are those of
// colorlab/classical/hints.py; the mean of a change is zero, so far from every hint the network's
// prediction stays. Levin's method carries strokes, but hardly a single place, which a random walk
// seldom meets.

const POSITION = 0.35; // of the longer side
const TONE = 50; // of L
const AROUND = 35; // of L averaged over the surroundings
const SURROUNDINGS = 1 / 128; // of the longer side
const NUGGET = 0.003;

/** Gaussian along rows and columns of an image (h, w); the border is repeated. */
function blurred(image, h, w, sigma) {
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigma) ** 2));
  const sum = weights.reduce((a, b) => a + b);
  const along = (from, count, stride, others, jump) => {
    const to = new Float64Array(h * w);
    for (let j = 0; j < others; j++)
      for (let i = 0; i < count; i++)
        weights.forEach((weight, k) => {
          const near = Math.min(count - 1, Math.max(0, i + k - reach));
          to[j * jump + i * stride] += (weight / sum) * from[j * jump + near * stride];
        });
    return to;
  };
  return along(along(image, w, 1, h, w), h, w, w, 1);
}

/** Solve matrix x = right sides, in place, by elimination: the matrix is positive definite. */
function solve(matrix, right) {
  const n = matrix.length;
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      const share = matrix[j][i] / matrix[i][i];
      for (let k = i; k < n; k++) matrix[j][k] -= share * matrix[i][k];
      right[j] = right[j].map((x, c) => x - share * right[i][c]);
    }
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) right[i] = right[i].map((x, c) => x - matrix[i][j] * right[j][c]);
    right[i] = right[i].map((x) => x / matrix[i][i]);
  }
  return right;
}

/**
 * `ab` { data, h, w } times `factor`, with the colours of `hints` [{ x, y, ab: [a, b] }], x and y
 * in [0, 1]; `L` (h, w) is the lightness.
 */
export function corrected({ data, h, w }, factor, L, hints) {
  const side = Math.max(h, w);
  const around = blurred(L, h, w, side * SURROUNDINGS);
  const of = [
    Float64Array.from(L, (_, i) => Math.floor(i / w) / (side * POSITION)),
    Float64Array.from(L, (_, i) => (i % w) / (side * POSITION)),
    Float64Array.from(L, (x) => x / TONE),
    around.map((x) => x / AROUND),
  ];
  const like = (i, j) => Math.exp(-Math.hypot(...of.map((feature) => feature[i] - feature[j])));
  const cell = (at, count) => Math.min(count - 1, Math.max(0, Math.floor(at * count)));
  const places = hints.map(({ x, y }) => cell(y, h) * w + cell(x, w));
  const matrix = places.map((i, m) => places.map((j, n) => like(i, j) + (m === n ? NUGGET : 0)));
  const plane = h * w;
  const changes = hints.map(({ ab }, m) => ab.map((x, c) => x - factor * data[c * plane + places[m]]));
  const weights = solve(matrix, changes);
  const out = data.map((x) => factor * x);
  for (let i = 0; i < plane; i++)
    places.forEach((place, m) => {
      const near = like(i, place);
      out[i] += near * weights[m][0];
      out[plane + i] += near * weights[m][1];
    });
  return { data: out, h, w };
}
