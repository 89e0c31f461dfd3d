// One comparison: the original and two copies, in one place or side by side.

import { address } from "./requests.js";
import { TOUCH, fits, lock, magnified, whenResized } from "./screen.js";

const at = (id) => document.getElementById(id);
const stage = at("stage");
const slots = { left: at("slot-left"), right: at("slot-right") };
const NAMES = { left: "Copy 1", right: "Copy 2", original: "Original" };

let sideBySide = false;
let shown = "left"; // the copy that is shown in one place
let original = false; // whether the original is shown instead
let chosen = null;
let seen = new Set();
let ready = false;
let since = 0;
let submit = () => {};

/** Load and show a trial. Resolves once it is visible; rejects if a picture cannot be loaded. */
export async function showTrial(state, onConfirm) {
  ready = false;
  stage.classList.add("waiting");
  describe(state);
  await Promise.all([
    fill(slots.left, state.pictures, ["left", "right", "original"]),
    fill(slots.right, state.pictures, ["right", "original"]),
  ]);
  [shown, original, chosen, seen, submit] = ["left", false, null, new Set(), onConfirm];
  ready = true;
  stage.classList.remove("waiting");
  since = performance.now();
  draw();
}

/** Let no key or button do anything until the next trial is shown. */
export function stopTrial() {
  ready = false;
}

function describe({ stage: kind, number, total }) {
  const noun = kind === "training" ? "Practice" : "Comparison";
  at("count").textContent = `${noun} ${number} of ${total}`;
  at("progress").max = total;
  at("progress").value = number - 1;
}

async function fill(slot, pictures, roles) {
  const images = roles.map((role) => {
    const image = new Image();
    image.dataset.role = role;
    image.draggable = false;
    image.alt = NAMES[role];
    image.src = address(`/picture/${pictures[role]}.png`);
    return image;
  });
  await Promise.all(images.map((image) => image.decode()));
  slot.querySelector(".frame").replaceChildren(...images);
}

function draw() {
  const room = fits();
  const both = sideBySide && room === 2;
  slots.right.hidden = !both;
  const inSlot = {
    left: original ? "original" : both ? "left" : shown,
    right: original ? "original" : "right",
  };
  for (const [side, slot] of Object.entries(slots)) {
    const role = inSlot[side];
    for (const image of slot.querySelectorAll("img")) {
      image.classList.toggle("shown", image.dataset.role === role);
      image.ariaHidden = String(image.dataset.role !== role);
    }
    const mark = role === chosen ? ", your choice" : "";
    slot.querySelector("figcaption").textContent = NAMES[role] + mark;
    if (!slot.hidden && ready) seen.add(role);
  }
  controls(both, room);
  Object.values(slots).forEach((slot) => lock(slot.querySelector(".frame")));
}

function controls(both, room) {
  at("layout").disabled = room < 2;
  at("layout").title = room < 2 ? "The window is too narrow for two pictures" : "";
  at("layout").ariaPressed = String(both);
  at("flip").firstElementChild.textContent = both ? "Flip with original" : "Flip 1 and 2";
  at("show-original").ariaPressed = String(original);
  at("choose-left").ariaChecked = String(chosen === "left");
  at("choose-right").ariaChecked = String(chosen === "right");
  const unseen = ["left", "right"].find((role) => !seen.has(role));
  at("confirm").disabled = !chosen || Boolean(unseen);
  at("hint").textContent = hint(unseen);
  const warning = room === 0 ? "The window is too small for a whole picture. Please enlarge it." : magnified();
  at("zoom-warning").textContent = warning;
  at("zoom-warning").hidden = warning === "";
}

function hint(unseen) {
  if (unseen) return `Look at ${NAMES[unseen].toLowerCase()} too: ${TOUCH ? "flip" : "press Space"}.`;
  if (!chosen) return "Choose the copy that is closer to the original. If you see no difference, guess.";
  return `${NAMES[chosen]} is your choice. ${TOUCH ? "Confirm it, or change it." : "Enter confirms it."}`;
}

function announce() {
  at("announcement").textContent = original ? "Original is shown" : `${NAMES[shown]} is shown`;
}

const actions = {
  flip() {
    if (sideBySide && fits() === 2) return actions.original();
    if (original) original = false;
    else shown = shown === "left" ? "right" : "left";
  },
  original: () => { original = !original; },
  layout: () => { sideBySide = fits() === 2 && !sideBySide; },
  left: () => { [chosen, shown, original] = ["left", "left", false]; },
  right: () => { [chosen, shown, original] = ["right", "right", false]; },
};

function act(name) {
  if (!ready) return;
  actions[name]();
  draw();
  announce();
}

function confirmChoice() {
  if (!ready || at("confirm").disabled) return;
  submit(chosen, Math.round(performance.now() - since));
}

const KEYS = {
  " ": "flip", o: "original", ArrowUp: "original", s: "layout",
  ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right",
};

document.addEventListener("keydown", (event) => {
  const idle = at("trial").hidden || at("feedback").open || event.repeat;
  if (idle || event.ctrlKey || event.metaKey || event.altKey) return;
  // A button that has the focus keeps its own keys.
  if ([" ", "Enter"].includes(event.key) && document.activeElement.matches("button")) return;
  const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (name) act(name);
  else if (event.key === "Enter") confirmChoice();
  else return;
  event.preventDefault();
});

const BUTTONS = {
  flip: "flip", "show-original": "original", layout: "layout", "choose-left": "left", "choose-right": "right",
};
for (const [id, name] of Object.entries(BUTTONS)) {
  at(id).addEventListener("click", (event) => {
    // After a click by mouse or finger, Space and Enter shall have their usual meaning.
    if (event.detail > 0) at(id).blur();
    act(name);
  });
}
at("confirm").addEventListener("click", confirmChoice);
whenResized(() => { if (ready) draw(); });
