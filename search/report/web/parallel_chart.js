// Parallel coordinates: brush an axis to keep the candidates within a range.

const MOST_DIMENSIONS = 9;

/** Columns that are shown at first: the objectives, then the parameters that mattered most. */
function firstDimensions(run) {
  const [objective] = run.objectives;
  const ranked = Object.entries(run.importance[objective] ?? {}).sort((one, other) => other[1] - one[1]).map(([name]) => name);
  const parameters = ranked.length ? ranked : run.columns.filter((column) => column.group === "Parameters" && column.choice).map(({ name }) => name);
  return [...run.objectives, ...parameters].slice(0, MOST_DIMENSIONS - 1);
}

function drawParallel() {
  const run = RUNS[Number(document.getElementById("parallel-run").value)];
  const rows = evaluatedRows(run);
  const added = document.getElementById("parallel-more").value;
  const names = [...new Set([...firstDimensions(run), ...(added ? [added] : [])])];
  const dimensions = names.map((name) => {
    const column = columnOf(run, name);
    const values = rows.map((row) => run.values[name][row]);
    const ticks = column.levels ? { tickvals: column.levels.map((_, i) => i), ticktext: column.levels.map(String) } : {};
    return { label: column.axis, values, name, ...ticks };
  });
  const objective = run.objectives[0];
  drawChart("parallel", [{
    type: "parcoords", dimensions, labelangle: -25, labelside: "top",
    line: { color: rows.map((row) => run.values[objective][row]), colorscale: SCALE, reversescale: true },
    labelfont: { size: 11 }, rangefont: { size: 9 },
    unselected: { line: { color: themeColour("line"), opacity: 0.15 } },
  }], { margin: { l: 110, r: 50, t: 90, b: 30 } });
  showBrushed();
}

/** Rows of the run that lie within all brushed ranges. */
function brushedRows() {
  const run = RUNS[Number(document.getElementById("parallel-run").value)];
  const { dimensions } = document.getElementById("parallel").data[0];
  const inRanges = (row) => dimensions.every(({ name, constraintrange }) => {
    if (!constraintrange) return true;
    const ranges = Array.isArray(constraintrange[0]) ? constraintrange : [constraintrange];
    const value = run.values[name][row];
    return ranges.some(([low, high]) => value !== null && value >= low && value <= high);
  });
  return evaluatedRows(run).filter(inRanges);
}

/** Say how many candidates the brushes keep, and offer the best of them. */
function showBrushed() {
  const number = Number(document.getElementById("parallel-run").value);
  const run = RUNS[number];
  const rows = brushedRows();
  const [objective] = run.objectives;
  const best = rows.reduce((one, row) => (one === null || run.values[objective][row] < run.values[objective][one] ? row : one), null);
  document.getElementById("brushed").textContent = `${rows.length} of ${evaluatedRows(run).length} candidates lie within the brushed ranges.`;
  const button = document.getElementById("pin-brushed");
  button.disabled = best === null;
  button.textContent = best === null ? "Pin the best of them" : `Pin the best of them by ${columnOf(run, objective).label}: ${run.ids[best]}`;
  button.onclick = () => { if (best !== null) togglePin({ run: number, row: best }); };
}

function startParallel() {
  const runs = document.getElementById("parallel-run");
  for (const [number, run] of RUNS.entries()) if (evaluatedRows(run).length) runs.append(new Option(run.name, number));
  runs.parentElement.hidden = runs.length < 2;
  fillChoices(document.getElementById("parallel-more"), RUNS[Number(runs.value)].columns.filter((column) => column.choice), "", "nothing");
  for (const id of ["parallel-run", "parallel-more"]) document.getElementById(id).addEventListener("change", drawParallel);
  drawParallel();
  document.getElementById("parallel").on("plotly_restyle", showBrushed);
}
