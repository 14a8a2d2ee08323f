// A slider that steps through figures; see colorlab/widgets/slider.py.

function render({ model, el }) {
  const { listen, stop } = following(model);
  const shown = picture();
  const labels = model.get("labels");
  const value = make("output", {});
  const handle = make("input", {
    type: "range",
    min: "0",
    max: String(labels.length - 1),
    step: "1",
    "aria-label": model.get("label"),
    input() {
      tell(Number(handle.value));
      model.set("index", Number(handle.value));
      model.save_changes();
    },
  });
  function tell(index) {
    value.textContent = labels[index];
    handle.setAttribute("aria-valuetext", labels[index]);
  }
  function follow() {
    handle.value = model.get("index");
    tell(model.get("index"));
  }
  async function show() {
    const name = labels[model.get("index")];
    await shown.show(model.get("figure"), `${model.get("label")} ${name}`);
    root.dataset.shown = name;
  }
  listen("index", follow);
  listen("figure", show);

  const root = make("div", { class: "colorlab-widget colorlab-slider" },
    make("div", { class: "cl-row" },
      make("span", { "aria-hidden": "true" }, model.get("label")), handle, value),
    make("figure", {}, shown.node, make("figcaption", {}, model.get("alt"))));
  keepKeys(root);
  follow();
  show();
  el.append(root);
  return () => {
    stop();
    shown.free();
  };
}

export default { render };
