// sRGB to CIE Lab and back, D65, as in colorlab/color.py; one colour at a time.

const FROM_RGB = [
  [0.412453 / 0.95047, 0.35758 / 0.95047, 0.180423 / 0.95047],
  [0.212671, 0.71516, 0.072169],
  [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
];
// The inverse of the matrix above.
const TO_RGB = [
  [3.2404813432 * 0.95047, -1.5371515163, -0.4985363262 * 1.08883],
  [-0.9692549499 * 0.95047, 1.8759900015, 0.0415559266 * 1.08883],
  [0.0556466391 * 0.95047, -0.2040413384, 1.0573110696 * 1.08883],
];

const mix = (matrix, v) => matrix.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);

/** [r, g, b] in 0..255 to [L, a, b]. */
function rgbToLab(rgb) {
  const linear = rgb.map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const [x, y, z] = mix(FROM_RGB, linear).map((t) =>
    t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116,
  );
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** [L, a, b] to {rgb: [r, g, b] in 0..255, fits: whether sRGB can show it}. */
function labToRgb([L, a, b]) {
  const y = (L + 16) / 116;
  const whitened = [y + a / 500, y, y - b / 200].map((t) =>
    t > 0.2068966 ? t ** 3 : (t - 16 / 116) / 7.787,
  );
  const encoded = mix(TO_RGB, whitened).map((c) =>
    c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055,
  );
  return {
    rgb: encoded.map((c) => Math.round(255 * Math.min(1, Math.max(0, c)))),
    fits: encoded.every((c) => c > -0.002 && c < 1.002),
  };
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;
const toHex = (rgb) => "#" + rgb.map((v) => v.toString(16).padStart(2, "0")).join("");
const fromHex = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));

/** The name in `table` ([name, [L, a, b]] each) nearest to `lab`. */
function nearestName(table, lab) {
  let best = Infinity;
  let found = "";
  for (const [name, other] of table) {
    const distance = lab.reduce((sum, v, i) => sum + (v - other[i]) ** 2, 0);
    if (distance < best) [best, found] = [distance, name];
  }
  return found;
}
