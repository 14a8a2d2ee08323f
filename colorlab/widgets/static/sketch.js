// Drawing strokes and the brush over the gray picture. `scale`: canvas pixels for one of the picture.

const SHOWN_LIGHTNESS = 65; // as in colorlab/widgets/strokes.py

function trace(context, points, scale) {
  context.beginPath();
  points.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x * scale, y * scale));
  if (points.length === 1) context.lineTo(points[0][0] * scale, points[0][1] * scale);
}

/** Draw strokes in their order on a transparent layer; an eraser takes away what lies below it. */
function drawStrokes(context, strokes, scale) {
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  context.lineCap = context.lineJoin = "round";
  for (const { points, radius, ab } of strokes) {
    trace(context, points, scale);
    if (ab === null) {
      context.globalCompositeOperation = "destination-out";
      context.lineWidth = 2 * radius * scale;
      context.stroke();
    } else {
      // A dark rim: a gray or pale stroke must be seen too.
      context.globalCompositeOperation = "source-over";
      context.lineWidth = 2 * radius * scale + 3;
      context.strokeStyle = "rgb(0 0 0 / 70%)";
      context.stroke();
      context.lineWidth = 2 * radius * scale;
      context.strokeStyle = css(labToRgb([SHOWN_LIGHTNESS, ...ab]).rgb);
      context.stroke();
    }
  }
  context.globalCompositeOperation = "source-over";
}

/** Draw the brush's ring and, for the keyboard, a cross: black in white, seen on any ground. */
function drawBrush(context, [x, y], radius, scale, cross) {
  const [cx, cy, r] = [x * scale, y * scale, Math.max(2, radius * scale)];
  context.beginPath();
  context.arc(cx, cy, r, 0, 2 * Math.PI);
  if (cross) {
    const arm = 10 * Math.max(1, scale / 2);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(cx + dx * r, cy + dy * r);
      context.lineTo(cx + dx * (r + arm), cy + dy * (r + arm));
    }
  }
  for (const [style, width] of [["white", 4], ["black", 1.6]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
}

/** The stroke painted last at a place, or undefined. */
function strokeAt(strokes, [x, y]) {
  return strokes.findLast(({ points, radius }) =>
    points.some(([px, py], i) => {
      const [qx, qy] = points[Math.max(0, i - 1)];
      const [dx, dy] = [px - qx, py - qy];
      const along = ((x - qx) * dx + (y - qy) * dy) / Math.max(dx * dx + dy * dy, 1e-9);
      const t = Math.min(1, Math.max(0, along));
      return Math.hypot(x - qx - t * dx, y - qy - t * dy) <= radius;
    }),
  );
}
