// Choosing from the front: the knee, or the best candidate within a time.

/** Row of the lowest BD-rate among the candidates whose `time` is within `most` ms, or null. */
function bestUnder(run, time, most) {
  const [objective] = run.objectives;
  const rows = evaluatedRows(run).filter((row) => run.values[time][row] <= most);
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
  const time = document.getElementById("under-time").value, { label } = columnOf(run, time);
  const input = document.getElementById("under-ms"), most = Number(input.value);
  const row = most > 0 ? bestUnder(run, time, most) : null;
  if (row === null) {
    const times = evaluatedRows(run).map((each) => run.values[time][each]);
    showChoice(null, `No candidate has a ${label} within ${input.value || "–"} ms; the least is ${Math.min(...times).toFixed(1)} ms.`);
    return;
  }
  pinAsA({ run: number, row });
  // `promote` knows the decode time alone; other choices are promoted by id.
  const which = time === "decode_ms" ? `--best-under-ms ${most}` : `--id ${run.ids[row]}`;
  const high = time === "decode_ms" ? valueOf(run, row, "decode_high_ms") : null;
  const sure = high === null || high <= most ? "" : ` The 90 % interval of its time reaches ${shown(high)} ms.`;
  showChoice(`python -m search promote ${run.folder} ${which} data.root=~/Pictures`,
    `${run.ids[row]} has the lowest BD-rate of all candidates whose predicted ${label} is within ${most} ms.${sure}`);
}

function chooseKnee() {
  const number = chosenRun(), run = RUNS[number];
  pinAsA({ run: number, row: run.knee });
  showChoice(`python -m search promote ${run.folder} --knee data.root=~/Pictures`,
    `${run.ids[run.knee]} is the knee of the front: the point farthest below the line between its ends.`);
}

function startChoose() {
  const times = ["decode_ms", "decode_high_ms", "decode_total_ms"].flatMap((name) => sharedColumns().filter((each) => each.name === name));
  document.getElementById("under-time").append(...times.map(({ name, label }) => new Option(label, name)));
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
