// The before/after slider; see colorlab/widgets/compare.py.

function render({ model, el }) {
  const { listen, stop } = following(model);
  const view = comparison({
    size: model.get("size"),
    moved(percent) {
      model.set("position", percent);
      model.save_changes();
    },
  });
  const show = () =>
    view.set({
      before: model.get("before"),
      after: model.get("after"),
      names: model.get("names"),
      alt: model.get("alt"),
    });
  for (const name of ["before", "after", "names", "alt"]) listen(name, show);
  listen("position", () => view.place(model.get("position")));
  const root = make("div", { class: "colorlab-widget" }, view.node);
  keepKeys(root);
  view.place(model.get("position"));
  show();
  el.append(root);
  return () => {
    stop();
    view.free();
  };
}

export default { render };
