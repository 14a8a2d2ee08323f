// Two pictures and a question; see colorlab/widgets/turing.py. The Turing test shows one after the
// other, a moment each; the test of preference shows both side by side until the answer.

const GAP = 0.3; // seconds of plain gray before each picture, so that neither leans on the other

function render({ model, el }) {
  const { listen, stop } = following(model);
  const [height, width] = model.get("picture_size");
  const hall = model.get("hall");
  const together = model.get("side_by_side");
  const asks = together ? "Which one is more believable?" : "Which one was the real photograph?";
  const about = together
    ? "Two models coloured the same gray picture."
    : "One picture is a photograph, the other was coloured by a model.";
  const shown = [picture(), picture()];
  let timer = 0;
  let asked = 0; // the trial that was answered last
  let attempt = 0; // the same answer given again is a new message

  const frame = make("div", { class: "cl-frame" });
  const status = make("p", { role: "status", "aria-live": "polite" });
  const note = make("p", { class: "cl-note" });
  const start = button("Show the two pictures", play);
  const first = button("The first", () => answer(1, 0));
  const second = button("The second", () => answer(0, 1));
  const again = button("Show them again", play);
  first.append(make("kbd", {}, "1"));
  second.append(make("kbd", {}, "2"));
  const number = (label) =>
    make("input", { type: "number", min: "0", step: "1", value: "0", "aria-label": label });
  const hands = [number("Hands for the first"), number("Hands for the second")];
  const enter = button("Enter the hands", () => answer(...hands.map((node) => Number(node.value))));
  const question = make("div", { class: "cl-row", role: "group", "aria-label": "Your answer" },
    ...(hall
      ? [make("label", {}, "First ", hands[0]), make("label", {}, "Second ", hands[1]), enter]
      : [first, second]),
    again);
  const table = make("table", {});
  const result = make("div", { "aria-live": "polite" }, table);

  const say = (text, failed = false) => {
    status.textContent = text;
    status.classList.toggle("cl-failed", failed);
  };
  function stage(name) {
    root.dataset.stage = name;
    start.hidden = name !== "ready";
    question.hidden = name !== "ask";
    again.hidden = together;
    frame.hidden = result.hidden = false;
    if (name === "done") frame.hidden = true;
    else result.hidden = true;
  }
  const blank = (text = "") => frame.replaceChildren(text);
  const wait = (seconds) => new Promise((done) => (timer = setTimeout(done, 1000 * seconds)));

  async function play() {
    const trial = model.get("trial");
    stage("showing");
    say("Look.");
    // Decoded first, so that each is seen for its whole time, or both appear at once.
    await Promise.all([shown[0].show(model.get("first"), "First picture"),
      shown[1].show(model.get("second"), "Second picture")]);
    if (together) frame.replaceChildren(...shown.map((each) => each.node));
    else {
      for (const [i, name] of ["First", "Second"].entries()) {
        blank(name);
        await wait(Math.min(GAP, model.get("seconds")));
        frame.replaceChildren(shown[i].node);
        await wait(model.get("seconds"));
      }
      blank();
    }
    if (trial !== model.get("trial")) return;
    stage("ask");
    say(hall ? `${asks} Count the hands for each.` : asks);
    (hall ? hands[0] : first).focus();
  }
  function answer(one, two) {
    const trial = model.get("trial");
    if (asked === trial) return; // a second click on its way
    if (!Number.isInteger(one) || !Number.isInteger(two) || one < 0 || two < 0 || one + two < 1)
      return say("Enter how many hands went up: whole numbers, at least one in all.", true);
    asked = trial;
    model.set("answer", { trial, first: one, second: two, attempt: (attempt += 1) });
    model.save_changes();
  }
  function next() {
    note.textContent = model.get("note");
    if (model.get("failure")) {
      asked = 0;
      stage("ask");
      return say(model.get("failure"), true);
    }
    const [trial, total] = [model.get("trial"), model.get("total")];
    if (trial > total) return finish();
    hands.forEach((node) => (node.value = "0"));
    blank(`${trial} of ${total}`);
    stage("ready");
    say(`Trial ${trial} of ${total}. ${about}`);
    if (trial > 1 && together) play();
    else if (trial > 1) start.focus();
  }
  function finish() {
    const head = ["model", together ? "preferred" : "taken for the real one", "of", "share", "95 % interval"];
    const line = (cells, tag) => make("tr", {}, ...cells.map((text) => make(tag, {}, String(text))));
    table.replaceChildren(line(head, "th"), ...model.get("rates").map((row) => line(row, "td")));
    stage("done");
    say(together ? "Done. Thank you." : "Done. Half the time would be a perfect disguise.");
  }
  listen("turn", next);

  const root = make("div", {
    class: `colorlab-widget colorlab-turing${hall ? " cl-hall" : ""}${together ? " cl-pair" : ""}`,
    style: `--cl-size:${model.get("size")}px;--cl-ratio:${(together ? 2 : 1) * (width / height)}`,
  }, frame, status, make("div", { class: "cl-row" }, start), question, result, note);
  root.addEventListener("keydown", (event) => {
    if (root.dataset.stage !== "ask" || hall || event.ctrlKey || event.metaKey) return;
    if (event.key === "1") answer(1, 0);
    else if (event.key === "2") answer(0, 1);
  });
  keepKeys(root);
  if (model.get("trial") > model.get("total")) (note.textContent = model.get("note")), finish();
  else next();
  el.append(root);
  return () => {
    stop();
    clearTimeout(timer);
    shown.forEach((each) => each.free());
  };
}

export default { render };
