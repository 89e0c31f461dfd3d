// Choosing from the front: the knee, or the best candidate within a time.

/** Row of the lowest BD-rate among the candidates that decode within `most` ms, or null. */
function bestUnder(run, most) {
  const [objective] = run.objectives;
  const rows = evaluatedRows(run).filter((row) => run.values.decode_ms[row] <= most);
  return rows.reduce((one, row) => (one === null || run.values[objective][row] < run.values[objective][one] ? row : one), null);
}

function pinAsA(candidate) {
  pins.A = candidate;
  if (sameCandidate(pins.B, candidate)) pins.B = null;
  showPins();
}

function chosenRun() {
  return Number(document.getElementById("choose-run").value || 0);
}

function showChoice(command, text) {
  document.getElementById("choice").replaceChildren(element("p", {}, text), ...(command ? [commandLine(command)] : []));
}

function chooseUnder() {
  const number = chosenRun(), run = RUNS[number];
  const input = document.getElementById("under-ms"), most = Number(input.value);
  const row = most > 0 ? bestUnder(run, most) : null;
  if (row === null) {
    const times = evaluatedRows(run).map((each) => run.values.decode_ms[each]);
    showChoice(null, `No candidate decodes within ${input.value || "–"} ms; the fastest takes ${Math.min(...times).toFixed(1)} ms.`);
    return;
  }
  pinAsA({ run: number, row });
  const high = valueOf(run, row, "decode_high_ms");
  const sure = high === null || high <= most ? "" : ` Its 90 % interval reaches ${shown(high)} ms.`;
  showChoice(`python -m search promote ${run.folder} --best-under-ms ${most} data.root=~/Pictures`,
    `${run.ids[row]} has the lowest BD-rate of all candidates predicted to decode within ${most} ms.${sure}`);
}

function chooseKnee() {
  const number = chosenRun(), run = RUNS[number];
  pinAsA({ run: number, row: run.knee });
  showChoice(`python -m search promote ${run.folder} --knee data.root=~/Pictures`,
    `${run.ids[run.knee]} is the knee of the front: the point farthest below the line between its ends.`);
}

function startChoose() {
  const select = document.getElementById("choose-run");
  for (const [number, run] of RUNS.entries()) select.append(new Option(run.name, number));
  select.parentElement.hidden = RUNS.length < 2;
  const knee = document.getElementById("knee");
  const update = () => { knee.hidden = RUNS[chosenRun()].knee === null; };
  select.addEventListener("change", update);
  update();
  knee.addEventListener("click", chooseKnee);
  document.getElementById("under").addEventListener("submit", (event) => { event.preventDefault(); chooseUnder(); });
}
