// Your own photograph: a file, the models, two sliders, and the answers; see colorlab/widgets/studio.py.

const MOST_BYTES = 8 * 2 ** 20; // the server closes a connection that sends more than 10 MiB

let studios = 0;

function render({ model, el }) {
  const { listen, stop } = following(model);
  const id = `colorlab-studio-${(studios += 1)}`;
  const status = make("p", { role: "status", "aria-live": "polite" });
  const say = (text, failed = false) => {
    status.textContent = text;
    status.classList.toggle("cl-failed", failed);
  };
  const send = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    say("Working …");
    model.save_changes();
  };
  let asked = 0;
  const request = (changes) => send({ ...changes, request: (asked = Math.max(asked, model.get("request")) + 1) });

  // ---- the picture
  const file = make("input", { type: "file", accept: "image/*", id: `${id}-file`, async change() {
    const [chosen] = file.files;
    if (!chosen) return;
    if (chosen.size > MOST_BYTES) {
      const size = (chosen.size / 2 ** 20).toFixed(1);
      return say(`${chosen.name} has ${size} MiB; more than 8 must be opened by its path.`, true);
    }
    request({ upload: new DataView(await chosen.arrayBuffer()), upload_name: chosen.name, path: "" });
  } });
  const path = make("input", { type: "text", "aria-label": "Path of a picture on this computer",
    placeholder: "or a path on this computer", keydown(event) {
      if (event.key === "Enter" && !event.shiftKey) open();
    } });
  const open = () => path.value.trim() && request({ path: path.value.trim() });

  // ---- the models and the sliders
  const boxes = model.get("offered").map((name) =>
    make("input", { type: "checkbox", value: name, change: () => request({
      chosen: boxes.filter((box) => box.checked).map((box) => box.value) }) }));
  const saturation = make("input", { type: "range", min: "0", max: "2", step: "0.05",
    "aria-label": "Saturation", change: () => request({ saturation: Number(saturation.value) }),
    input: () => tellSaturation() });
  const saturationText = make("span", {});
  const tellSaturation = () =>
    (saturationText.textContent = `${(100 * Number(saturation.value)).toFixed(0)} %`);
  const seed = make("input", { type: "number", min: "0", step: "1", "aria-label": "Seed of the draw",
    change() {
      const value = Number(seed.value);
      if (Number.isInteger(value) && value >= 0) request({ seed: value });
      else say("A seed is a whole number, 0 or more.", true);
    } });

  // ---- the answers
  const gallery = make("div", { class: "cl-answers", role: "radiogroup", "aria-label": "Answers" });
  const view = comparison({ size: 560 });
  const save = make("a", { class: "cl-button", download: "" }, "Download");
  let shownName = "";
  let [thumbs, url] = [[], null];

  function choose(answer) {
    shownName = answer.name;
    view.set({ before: model.get("gray"), after: answer.png, names: ["gray", answer.name],
      alt: `The picture in gray and coloured by ${answer.name}` });
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([answer.png], { type: "image/png" }));
    save.href = url;
    save.download = answer.file;
    save.textContent = `Download the picture of ${answer.name}`;
  }
  async function showAnswers() {
    const answers = model.get("answers");
    thumbs.forEach((thumb) => thumb.free());
    thumbs = [];
    const figures = answers.map((answer) => {
      const thumb = picture();
      thumbs.push(thumb);
      const radio = make("input", { type: "radio", name: `${id}-answer`, value: answer.name,
        change: () => choose(answer) });
      const parts = [thumb.node, make("label", {}, radio, answer.name)];
      thumb.show(answer.png, `Coloured by ${answer.name}`);
      if (answer.spread) {
        const map = picture();
        thumbs.push(map);
        map.show(answer.spread, `Where the draws of ${answer.name} differ: bright is more`);
        parts.push(map.node);
      }
      return make("figure", {}, ...parts, make("figcaption", {}, answer.told));
    });
    gallery.replaceChildren(...figures);
    const there = answers.length > 0;
    view.node.hidden = save.hidden = !there;
    if (there) {
      const answer = answers.find((each) => each.name === shownName) ?? answers[0];
      gallery.querySelector(`input[value="${CSS.escape(answer.name)}"]`).checked = true;
      choose(answer);
    }
  }
  function follow() {
    for (const box of boxes) box.checked = model.get("chosen").includes(box.value);
    saturation.value = model.get("saturation");
    seed.value = model.get("seed");
    tellSaturation();
  }
  function told() {
    follow();
    showAnswers();
    say(model.get("status"), model.get("failed"));
    root.dataset.answers = model.get("done");
  }
  listen("done", told);

  const root = make("div", { class: "colorlab-widget colorlab-studio" },
    make("div", { class: "cl-row" },
      make("label", { for: file.id }, "Photograph ", file), path, button("Open", open)),
    make("fieldset", {}, make("legend", {}, "Models"),
      ...boxes.map((box) => make("label", {}, box, box.value))),
    make("div", { class: "cl-row" },
      make("label", {}, "Saturation", saturation, saturationText),
      make("label", {}, "Seed of the draw", seed)),
    status, gallery, view.node, save);
  keepKeys(root);
  told();
  el.append(root);
  return () => {
    stop();
    view.free();
    thumbs.forEach((thumb) => thumb.free());
    if (url) URL.revokeObjectURL(url);
  };
}

export default { render };
