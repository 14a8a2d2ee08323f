// What every widget is made of: elements, pictures, and keys that stay inside.

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

const button = (text, click) => make("button", { type: "button", class: "cl-button", click }, text);

/** An <img> whose bytes change; `show` resolves when the browser can paint them. */
function picture(properties = {}) {
  const node = make("img", { draggable: "false", ...properties });
  let url = null;
  const free = () => url && URL.revokeObjectURL(url);
  async function show(bytes, alt) {
    free();
    url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    node.src = url;
    node.alt = alt;
    await node.decode().catch(() => {}); // a later picture may take its place meanwhile
  }
  return { node, show, free };
}

/** A letter or an arrow would be a command to the notebook: only its own chords pass. */
function keepKeys(root) {
  root.addEventListener("keydown", (event) => {
    const chord = event.ctrlKey || event.metaKey || (event.key === "Enter" && event.shiftKey);
    if (!chord && event.key !== "Escape") event.stopPropagation();
  });
}

/** `listen(name, action)` follows a trait; `stop()` ends it all when the view goes. */
function following(model) {
  const stops = [];
  const listen = (name, action) => {
    model.on(`change:${name}`, action);
    stops.push(() => model.off(`change:${name}`, action));
  };
  return { listen, stop: () => stops.forEach((stop) => stop()) };
}
