// Moves the lessons' widgets where no Python runs; .ci/site_widgets.py puts their scripts before this,
// as `widgets`. A page holds each widget's state beside a still of it, which stays without a script.

const BASE64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** The state with images in place of `{"image": 3}`. */
function filled(value, images) {
  if (Array.isArray(value)) return value.map((each) => filled(each, images));
  if (value === null || typeof value !== "object") return value;
  if (Number.isInteger(value.image)) return images[value.image];
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, filled(v, images)]));
}

/** The model that a widget's script knows: traits, and a Python that `reply` stands in for. */
class Model {
  constructor(values, reply) {
    Object.assign(this, { values, reply, actions: {}, changed: {} });
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    this.changed[name] = value;
    this.put({ [name]: value });
  }

  put(news) {
    Object.assign(this.values, news);
    for (const name of Object.keys(news)) for (const act of this.actions[`change:${name}`] ?? []) act();
  }

  on(name, action) {
    (this.actions[name] ??= new Set()).add(action);
  }

  off(name, action) {
    this.actions[name]?.delete(action);
  }

  save_changes() {
    const changed = this.changed;
    this.changed = {};
    const news = this.reply?.(changed, this.values);
    if (news) this.put(news);
  }
}

/** A share with its 95 % Wilson score interval, as in colorlab/widgets/turing.py. */
function wilson(hits, n) {
  const z = 1.959963984540054;
  const [p, square] = [hits / n, (z * z) / n];
  const middle = (p + square / 2) / (1 + square);
  const half = (z * Math.sqrt((p * (1 - p)) / n + square / (4 * n))) / (1 + square);
  return [p, Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Whose images were taken for photographs how often, as TuringTest tells at the end. */
function rates(trials, votes) {
  const percent = (share) => `${Math.round(100 * share)}%`;
  return [...new Set(trials.map((trial) => trial.model))].map((model) => {
    const of = trials.map((trial, i) => [trial, votes[i]]).filter(([trial]) => trial.model === model);
    const fooled = of.reduce((sum, [t, v]) => sum + (t.truth_first ? v.second : v.first), 0);
    const asked = of.reduce((sum, [, v]) => sum + v.first + v.second, 0);
    const [share, low, high] = wilson(fooled, asked);
    return [model, fooled, asked, percent(share), `${percent(low)} to ${percent(high)}`];
  });
}

// What Python does with a change: a function of the changed traits that gives the traits it changes.
const replies = {
  FigureSlider: ({ figures }) => ({ index }, values) =>
    index === undefined ? null : { figure: figures[values.index] },
  TuringTest({ trials }) {
    const votes = [];
    return ({ answer }, { turn }) => {
      if (!answer || answer.trial !== votes.length + 1) return null;
      votes.push(answer);
      const news = { failure: "", trial: votes.length + 1, turn: turn + 1 };
      if (votes.length === trials.length) return { ...news, rates: rates(trials, votes) };
      const [first, second] = trials[votes.length].pair;
      return { first, second, ...news };
    };
  },
  Canvas: () => ({ strokes }, { solves }) => {
    if (!strokes) return null;
    const status = "Jupyter computes the colours; on this page the strokes stay without a result.";
    return { status, solves: solves + 1 };
  },
};

// What cannot be asked here, or is otherwise here.
const changes = {
  Canvas: { suggests: false },
  TuringTest: { note: "Your answers stay on this page." },
};

function mount(place) {
  const kind = place.dataset.kind;
  const { values, images } = JSON.parse(place.querySelector("script").textContent);
  const state = { ...filled(values, images.map(BASE64)), ...changes[kind] };
  const el = document.createElement("div");
  widgets[kind].render({ model: new Model(state, replies[kind]?.(state)), el });
  place.replaceChildren(el);
}

function start() {
  // Not before a reader comes near: images of a page are decoded one widget at a time.
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        mount(target);
      }
    },
    { rootMargin: "800px" },
  );
  for (const place of document.querySelectorAll(".moved-widget")) near.observe(place);
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
