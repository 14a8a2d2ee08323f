// The reader's strokes: the one under way, undo and redo, and when Python hears of them.

const SEND_EVERY = 200; // ms between states sent while drawing
const SLOW = 400; // ms after which a solve is called slow

const rounded = (value) => Number(value.toFixed(1));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

class StrokeBook {
  /** `changed()` follows every change; `say(text, failed)` tells the reader. */
  constructor(model, changed, say) {
    Object.assign(this, { model, changed, say, strokes: model.get("strokes"), drawing: null });
    Object.assign(this, { past: [], future: [], sendTimer: 0, slowTimer: 0, sent: -Infinity });
  }

  get all() {
    return this.drawing ? [...this.strokes, this.drawing] : this.strokes;
  }

  begin(point, radius, ab) {
    this.drawing = { points: [point.map(rounded)], radius, ab };
    this.sendSoon();
    this.changed();
  }

  extend(point) {
    if (!this.drawing) return;
    const { points, radius } = this.drawing;
    const [x, y] = points.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) < Math.max(0.7, radius / 4)) return;
    this.drawing = { ...this.drawing, points: [...points, point.map(rounded)] };
    this.sendSoon();
    this.changed();
  }

  end() {
    if (!this.drawing) return;
    const next = this.all;
    this.drawing = null;
    this.replace(next);
    this.send();
  }

  clear() {
    this.end();
    if (!this.strokes.length) return;
    this.replace([]);
    this.send();
  }

  undo() {
    this.travel(this.past, this.future);
  }

  redo() {
    this.travel(this.future, this.past);
  }

  travel(from, to) {
    this.end();
    if (!from.length) return;
    to.push(this.strokes);
    this.strokes = from.pop();
    this.send();
    this.changed();
  }

  replace(next) {
    this.past.push(this.strokes);
    this.future.length = 0;
    this.strokes = next;
    this.changed();
  }

  /** The model's strokes changed: by us, by Python, or by another view. */
  take(next) {
    if (same(next, this.all)) return;
    this.drawing = null;
    this.replace(next);
  }

  sendSoon() {
    const wait = Math.max(0, this.sent + SEND_EVERY - performance.now());
    this.sendTimer ||= setTimeout(() => this.send(), wait);
  }

  send() {
    clearTimeout(this.sendTimer);
    this.sendTimer = 0;
    if (same(this.all, this.model.get("strokes"))) {
      // Python knows them: the stroke ended where it was last sent, and no answer will come.
      if (!this.slowTimer) this.tell();
      return;
    }
    this.sent = performance.now();
    clearTimeout(this.slowTimer);
    this.slowTimer = setTimeout(() => this.say("Solving …"), SLOW);
    this.model.set("strokes", this.all);
    this.model.save_changes();
  }

  answered() {
    clearTimeout(this.slowTimer);
    this.slowTimer = 0;
    // Not at each step of a stroke under way: a screen reader would never stop.
    if (!this.drawing || this.model.get("failed")) this.tell();
  }

  tell() {
    this.say(this.model.get("status"), this.model.get("failed"));
  }

  stop() {
    clearTimeout(this.sendTimer);
    clearTimeout(this.slowTimer);
  }
}
