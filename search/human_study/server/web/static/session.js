// A participant's session: screen, plates, practice and comparisons, as the server says.

import { Refused, address, pause, request } from "./requests.js";
import { TOUCH, fits, magnified, picture, whenResized } from "./screen.js";
import { showTrial, stopTrial } from "./trial.js";

const at = (id) => document.getElementById(id);
const RETRY_MS = 1000;
let practising = false;

function open(id) {
  for (const page of document.querySelectorAll("main")) page.hidden = page.id !== id;
  document.body.dataset.stage = id;
  scrollTo(0, 0);
}

async function go(state) {
  if (state.stage === "screen") return checkScreen();
  if (state.stage === "plates") return checkPlates(state.plates);
  if (state.stage === "done") return open("done");
  if (state.stage === "training" && !practising) return explain(state);
  return compare(state);
}

function checkScreen() {
  const list = () => {
    const room = fits();
    const lines = [
      [room > 0, room > 0 ? "A whole picture fits into this window." : `This window is too small for a picture of ${picture.width} by ${picture.height} pixels. Please enlarge it, or use a larger screen.`],
      [room === 2, room === 2 ? "Two pictures fit side by side." : "Two pictures do not fit side by side. You can flip between them in one place."],
      [magnified() === "", magnified() || "The page is not zoomed."],
    ];
    at("screen-facts").replaceChildren(...lines.map(([good, text]) => {
      const line = document.createElement("li");
      line.className = good ? "" : "bad";
      line.textContent = text;
      return line;
    }));
    at("screen-done").disabled = room === 0;
  };
  list();
  whenResized(list);
  open("screen");
  at("screen-done").focus();
  at("screen-done").onclick = async () => {
    at("screen-done").disabled = true;
    await go(await request("/screen", { pixel_ratio: devicePixelRatio, fits: fits() }));
  };
}

function checkPlates(names) {
  const fields = names.map((name, number) => {
    const label = document.createElement("label");
    const image = new Image();
    image.src = address(`/plate/${name}.png`);
    image.alt = "";
    const input = document.createElement("input");
    Object.assign(input, { inputMode: "numeric", maxLength: 2, autocomplete: "off" });
    label.append(image, `Plate ${number + 1}`, input);
    return label;
  });
  at("plate-list").replaceChildren(...fields);
  open("plates");
  fields[0].querySelector("input").focus();
  at("plates-form").onsubmit = async (event) => {
    event.preventDefault();
    const read = fields.map((label) => label.querySelector("input").value);
    await go(await request("/plates", { read }));
  };
}

function explain(state) {
  open("training");
  at("training-begin").focus();
  at("training-begin").onclick = () => {
    practising = true;
    compare(state);
  };
}

async function compare(state) {
  open("trial");
  document.activeElement.blur();
  try {
    await showTrial(state, (choice, ms) => answer(state, choice, ms));
  } catch (error) {
    // The connection was lost, or another tab has answered this trial.
    await pause(RETRY_MS);
    await go(await request("/state"));
  }
}

async function answer(state, choice, ms) {
  stopTrial();
  const next = await request("/answer", { trial: state.trial, choice, response_ms: ms });
  if ("right" in next) await feedback(next.right, choice);
  await go(next);
}

function feedback(right, choice) {
  const other = choice === "left" ? "Copy 2" : "Copy 1";
  at("feedback-title").textContent = right ? "Right" : "Not quite";
  at("feedback-text").textContent = right
    ? `${other} shows blocks and bands that the original does not have. Most pairs of the study differ less. Look for blocks, lost texture, halos around edges, and changed colours.`
    : `${other} was the original itself, and your choice shows blocks and bands. Take your time: ${TOUCH ? "flip between the copies, and look at the original" : "Space flips between the copies, and O shows the original"}.`;
  const dialog = at("feedback");
  dialog.showModal();
  at("feedback-done").focus();
  return new Promise((done) => {
    dialog.onclose = done;
    at("feedback-done").onclick = () => dialog.close();
  });
}

addEventListener("unhandledrejection", (event) => {
  // `request` has told the participant already.
  if (event.reason instanceof Refused) event.preventDefault();
});

await go(await request("/state"));
