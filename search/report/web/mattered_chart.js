// What mattered: importance of parameters, partial dependence, and how well the surrogate forecasts.

function drawImportance() {
  const run = RUNS[Number(document.getElementById("mattered-run").value)];
  const objective = document.getElementById("importance-of").value;
  const scores = Object.entries(run.importance[objective] ?? {}).sort((one, other) => one[1] - other[1]).slice(-15);
  drawChart("importance", [{
    type: "bar", orientation: "h", y: scores.map(([name]) => name), x: scores.map(([, score]) => score),
    marker: { color: themeColour("a") }, hovertemplate: "%{y}: %{x:.3f}<extra></extra>",
  }], { xaxis: axisLayout("share of importance"), yaxis: axisLayout(""), margin: { l: 10, r: 12, t: 10, b: 50 } });
}

function drawDependence() {
  const run = RUNS[Number(document.getElementById("mattered-run").value)];
  const name = document.getElementById("dependence-of").value;
  const found = run.dependence[name];
  if (!found) return;
  drawChart("dependence", [{
    type: "scatter", mode: "lines+markers", x: found.values.map(String), y: found.mean_percent,
    error_y: { type: "data", array: found.std_percent, color: themeColour("soft"), thickness: 1 },
    line: { color: themeColour("a") }, marker: { color: themeColour("a"), size: 8 },
    hovertemplate: `${name} %{x}: %{y:+.2f} %<extra></extra>`,
  }], { xaxis: axisLayout(name, { type: "category" }), yaxis: axisLayout("BD-rate (%)"), margin: { l: 60, r: 12, t: 10, b: 50 } });
}

function drawCalibration() {
  const run = RUNS[Number(document.getElementById("mattered-run").value)];
  const found = run.calibration;
  document.getElementById("calibration-section").hidden = !found;
  if (!found) return;
  const all = [...found.predicted_percent, ...found.measured_percent];
  const ends = [Math.min(...all), Math.max(...all)];
  drawChart("calibration", [{
    type: "scatter", mode: "lines", x: ends, y: ends, line: { color: themeColour("soft"), dash: "dot" }, hoverinfo: "skip",
  }, {
    type: "scatter", mode: "markers", x: found.predicted_percent, y: found.measured_percent, text: found.ids,
    error_x: { type: "data", array: found.std_percent.map((std) => 1.645 * std), color: themeColour("soft"), thickness: 0.8, width: 0 },
    marker: { color: themeColour("a"), size: 7 }, hovertemplate: "%{text}: forecast %{x:.2f} %, measured %{y:.2f} %<extra></extra>",
  }], {
    xaxis: axisLayout("BD-rate forecast before the evaluation (%)"), yaxis: axisLayout("BD-rate measured (%)"),
    showlegend: false, margin: { l: 60, r: 12, t: 10, b: 50 },
  });
  document.getElementById("calibration-text").textContent = found.text;
}

function fillMattered() {
  const run = RUNS[Number(document.getElementById("mattered-run").value)];
  const objectives = document.getElementById("importance-of");
  objectives.replaceChildren(...Object.keys(run.importance).map((name) => new Option(columnOf(run, name).label, name)));
  const parameters = document.getElementById("dependence-of");
  const ranked = Object.entries(run.importance[objectives.value] ?? {}).sort((one, other) => other[1] - one[1]);
  const known = new Set(Object.keys(run.dependence));
  const order = [...ranked.map(([name]) => name).filter((name) => known.delete(name)), ...known];
  parameters.replaceChildren(...order.map((name) => new Option(name, name)));
  drawImportance();
  drawDependence();
  drawCalibration();
}

function startMattered() {
  const runs = document.getElementById("mattered-run");
  for (const [number, run] of RUNS.entries()) {
    if (Object.keys(run.importance).length) runs.append(new Option(run.name, number));
  }
  runs.parentElement.hidden = runs.length < 2;
  document.getElementById("mattered-section").hidden = !runs.length;
  if (!runs.length) return;
  runs.addEventListener("change", fillMattered);
  document.getElementById("importance-of").addEventListener("change", drawImportance);
  document.getElementById("dependence-of").addEventListener("change", drawDependence);
  fillMattered();
}
