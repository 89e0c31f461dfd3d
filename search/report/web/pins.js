// Pinned candidates: up to two, with a card each and one table that compares them.

const pins = { A: null, B: null };

/** Pin a candidate to the first free slot, or to the last one; unpin it if it is pinned. */
function togglePin(candidate) {
  const held = Object.keys(pins).find((slot) => sameCandidate(pins[slot], candidate));
  const slot = held ?? Object.keys(pins).find((each) => !pins[each]) ?? "B";
  pins[slot] = held ? null : candidate;
  const { ids, name } = RUNS[candidate.run];
  announce(`${ids[candidate.row]} of ${name} ${held ? "unpinned" : `pinned as ${slot}`}`);
  showPins();
}

/** Show what is pinned: cards and rings at once, and everything that is drawn after them. */
function showPins() {
  for (const slot of Object.keys(pins)) document.getElementById(`card-${slot}`).replaceChildren(...cardContent(slot));
  drawPins();
  markRows();
  location.replace(`#${pinsAsText()}`);
  requestAnimationFrame(() => setTimeout(() => {
    drawComparison();
    drawLatency();
    drawCurves();
    showCrops();
  }));
}

function pinsAsText() {
  return Object.entries(pins).flatMap(([slot, pin]) => (pin ? [`${slot}=${pin.run}.${RUNS[pin.run].ids[pin.row]}`] : []))
    .join("&");
}

/** Pin what the page's address names, such as `#A=0.e3dea32e86bd`. */
function readPins() {
  for (const [slot, text] of new URLSearchParams(location.hash.slice(1))) {
    const [number, id] = text.split(".");
    const row = RUNS[Number(number)]?.ids.indexOf(id) ?? -1;
    if (slot in pins && row >= 0) pins[slot] = { run: Number(number), row };
  }
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A shell command with a button that copies it. */
function commandLine(text) {
  const button = element("button", { type: "button", "aria-label": `Copy: ${text}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return element("div", { class: "command" }, element("code", {}, text), button);
}

/** Commands that go on with a candidate; `null` for a trial that failed. */
function commandsOf(run, row) {
  const id = run.ids[row];
  const { folder } = run;
  return {
    "Train it fully": `python -m search promote ${folder} --id ${id} data.root=~/Pictures`,
    "Export it for an app": `python -m search export ${folder}/promoted/${id}-quick`,
    "Try it after a short training": `python -m search train ${folder}/${id} ${id}.safetensors --photos ~/Pictures`,
  };
}

const STATE_WORDS = { evaluated: "dominated", stopped: "stopped early", failed: "failed" };

function cardContent(slot) {
  const pin = pins[slot];
  if (!pin) return [element("p", { class: "soft" }, `${slot}: click a candidate in the chart or in the table to pin it here.`)];
  const run = RUNS[pin.run], { row } = pin;
  const id = run.ids[row];
  const state = STATE_WORDS[run.states[row]] ?? run.goal.noun;
  const title = element("h3", {}, `${slot}: ${id} `, element("span", { class: "badge" }, state));
  const close = element("button", { type: "button", "aria-label": `Unpin ${id}`, onclick: () => togglePin(pin) }, "×");
  const content = [element("header", {}, title, close)];
  if (RUNS.length > 1) content.push(element("p", { class: "soft" }, `Run ${run.name}, ${run.device}`));
  for (const name of run.headlines) {
    content.push(element("p", {}, `${columnOf(run, name).label}: `, element("b", {}, described(run, row, name))));
  }
  if (valueOf(run, row, "decode_distance") > 1) {
    content.push(element("p", { class: "risk" }, "Measure its time before you trust it: the decoder is unlike the networks on which the predictor was calibrated."));
  }
  if (run.risks[row]) content.push(element("p", { class: "risk" }, run.risks[row]));
  content.push(architectureDrawing(run, row));
  content.push(element("p", { class: "soft" }, architectureLines(run, row).at(-1)));
  for (const [label, command] of Object.entries(commandsOf(run, row))) {
    content.push(element("div", { class: "soft" }, label), commandLine(command));
  }
  return content;
}

/** The table of figures of the pinned candidates beside the reference's. */
function drawComparison() {
  const held = Object.entries(pins).filter(([, pin]) => pin);
  const table = document.getElementById("comparison");
  table.hidden = !held.length;
  if (!held.length) return;
  const { reference } = RUNS[held[0][1].run];
  const columns = sharedColumns().filter((column) => column.compared);
  const head = element("tr", {}, element("th", { scope: "col" }, "figure"),
    ...held.map(([slot, pin]) => element("th", { scope: "col" }, `${slot}: ${RUNS[pin.run].ids[pin.row]}`)),
    ...(reference ? [element("th", { scope: "col" }, "reference")] : []));
  const rows = columns.map((column) => element("tr", {}, element("th", { scope: "row" }, column.title),
    ...held.map(([, pin]) => element("td", {}, intervalText(RUNS[pin.run], pin.row, column))),
    ...(reference ? [element("td", {}, shown(reference.values[column.name], column))] : [])));
  const relative = relativeTime(held.map(([, pin]) => pin));
  if (relative) rows.push(element("tr", {}, element("th", { scope: "row" }, "decode time of A by that of B"),
    element("td", { colspan: held.length }, relative)));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

/** How much faster the first of two pinned candidates decodes, and how certain that is; null if unknown. */
function relativeTime(held) {
  if (held.length < 2 || held[0].run !== held[1].run) return null;
  const { decode_ratios: ratios, best } = RUNS[held[0].run];
  const [row, column] = held.map((pin) => best.indexOf(pin.row));
  if (!ratios || row < 0 || column < 0) return null;
  const [ratio, low, high] = ["ratio", "low", "high"].map((name) => ratios[name][row][column].toFixed(2));
  const faster = ratios.faster[row][column];
  const certainty = `${faster >= 0.5 ? "A" : "B"} is faster with ${Math.round(100 * Math.max(faster, 1 - faster))} %`;
  return `${ratio} (${low}–${high}); ${certainty}`;
}

function intervalText(run, row, column) {
  const text = shown(valueOf(run, row, column.name), column);
  if (!column.low) return text;
  const ends = [column.low, column.high].map((end) => shown(valueOf(run, row, end), column));
  return `${text} (${ends.join("–")})`;
}

function announce(text) {
  document.getElementById("announcement").textContent = text;
}
