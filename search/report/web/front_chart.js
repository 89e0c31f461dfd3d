// The chart of all candidates, with axes, colour and size by choice.

// More pixels than the label of a classical codec is long.
const LABEL_LENGTH = 95;
const axes = { x: null, y: null, colour: "", size: "" };

/** Fill a list of choices with columns, by group. */
function fillChoices(select, columns, chosen, none) {
  const groups = new Map();
  for (const column of columns) groups.set(column.group, [...(groups.get(column.group) ?? []), column]);
  if (none) select.append(new Option(none, ""));
  for (const [group, members] of groups) {
    const list = document.createElement("optgroup");
    list.label = group;
    for (const column of members) list.append(new Option(column.label, column.name));
    select.append(list);
  }
  select.value = chosen;
}

/** Text of the tooltip of a candidate: what it reaches, and its architecture in short. */
function tooltip(run, row) {
  const figures = [...new Set([...run.objectives, "kmac_per_px"])].filter((name) => columnOf(run, name));
  const lines = figures.map((name) => `${columnOf(run, name).label}: <b>${described(run, row, name)}</b>`);
  const name = RUNS.length > 1 ? `${run.name}, ${run.ids[row]}` : run.ids[row];
  return [`<b>${name}</b>`, ...lines, ...architectureLines(run, row)].join("<br>");
}

function markerColour(run, rows, number) {
  const column = columnOf(run, axes.colour);
  if (!column) return { color: RUNS.length > 1 ? PALETTE[number % PALETTE.length] : themeColour("soft") };
  const color = rows.map((row) => run.values[axes.colour][row]);
  const all = RUNS.flatMap((each) => each.values[axes.colour]).filter((value) => value !== null);
  const ends = { cmin: Math.min(...all), cmax: Math.max(...all), color };
  if (!column.levels) return { ...ends, colorscale: SCALE, coloraxis: undefined };
  const count = column.levels.length;
  const scale = column.levels.flatMap((_, i) => [[i / count, PALETTE[i % 8]], [(i + 1) / count, PALETTE[i % 8]]]);
  return { color, cmin: -0.5, cmax: count - 0.5, colorscale: scale };
}

function colourBar(run) {
  const column = columnOf(run, axes.colour);
  if (!column) return undefined;
  const ticks = column.levels ? { tickvals: column.levels.map((_, i) => i), ticktext: column.levels } : {};
  return { title: { text: column.label, side: "right" }, thickness: 12, ...ticks };
}

function markerSize(run, rows, plain) {
  if (!axes.size) return plain;
  const values = run.values[axes.size];
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return rows.map((row) => 5 + 13 * ((values[row] ?? low) - low) / (high - low || 1));
}

/** Error bars of the 90 % interval of a column, or undefined if it has none. */
function intervalBars(run, rows, name, colour) {
  const column = columnOf(run, name);
  if (!column?.low) return undefined;
  const at = (end) => rows.map((row) => Math.abs(run.values[end][row] - run.values[name][row]));
  return { type: "data", symmetric: false, array: at(column.high), arrayminus: at(column.low), thickness: 1,
    width: 2, color: colour };
}

function pointsTrace(run, number, rows, more) {
  return {
    type: rows.length > 1500 ? "scattergl" : "scatter", mode: "markers",
    x: rows.map((row) => run.values[axes.x][row]), y: rows.map((row) => run.values[axes.y][row]),
    customdata: rows.map((row) => [number, row]), text: rows.map((row) => tooltip(run, row)),
    hovertemplate: "%{text}<extra></extra>", ...more,
  };
}

/** Traces of one run: dominated, stopped and best candidates, the front's line and the reference. */
function runTraces(run, number) {
  const prefix = RUNS.length > 1 ? `${run.name}: ` : "";
  const rowsIn = (state) => run.states.flatMap((each, row) => (each === state ? [row] : []));
  const [others, stopped] = [rowsIn("evaluated"), rowsIn("stopped")];
  const best = run.best;
  const accent = RUNS.length > 1 ? PALETTE[number % PALETTE.length] : themeColour("a");
  const symbol = ["circle", "diamond", "square", "triangle-up"][number % 4];
  const traces = [pointsTrace(run, number, others, {
    name: `${prefix}dominated`, opacity: axes.colour ? 0.7 : 0.4,
    marker: { symbol, size: markerSize(run, others, 7), ...markerColour(run, others, number), showscale: false },
  })];
  if (stopped.length && axes.y === "bd_rate_percent") {
    const trace = pointsTrace(run, number, stopped, {
      name: `${prefix}stopped early (forecast)`,
      marker: { symbol: "circle-open", size: 8, color: themeColour("soft") },
    });
    trace.y = stopped.map((row) => run.values.expected_percent[row]);
    traces.push(trace);
  }
  const isFront = run.goal.kind === "front" && [axes.x, axes.y].every((name) => run.objectives.includes(name));
  traces.push(pointsTrace(run, number, best, {
    name: `${prefix}${run.goal.noun}`, mode: isFront && run.objectives.length === 2 ? "lines+markers" : "markers",
    type: "scatter", line: { shape: axes.x === "bd_rate_percent" ? "vh" : "hv", width: 1.5, color: accent },
    error_x: intervalBars(run, best, axes.x, `${accent}66`), error_y: intervalBars(run, best, axes.y, `${accent}66`),
    marker: { symbol, size: markerSize(run, best, 10), line: { width: 1.5, color: themeColour("paper") },
      ...(axes.colour ? { ...markerColour(run, best, number), showscale: number === 0, colorbar: colourBar(run) }
        : { color: accent }) },
  }));
  const reference = run.reference;
  if (reference) {
    traces.push({
      type: "scatter", mode: "markers", name: `${prefix}reference`, x: [reference.values[axes.x] ?? null],
      y: [reference.values[axes.y] ?? null], hovertemplate: `reference architecture ${reference.id}<extra></extra>`,
      marker: { symbol: "star", size: 15, color: themeColour("reference"), line: { width: 1, color: themeColour("paper") } },
    });
  }
  return traces;
}

/** The side on which a line lies far beyond all candidates: 1 beyond the largest value, -1 beyond the smallest, or
 *  0 if it is near them. Near lines leave at least a third of the axis to the candidates. */
function farSide(name, value) {
  const place = (each) => (isLog(name) ? Math.log(each) : each);
  const known = RUNS.flatMap((run) => run.values[name]).filter((each) => each !== null).map(place);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const span = high - low || Infinity;
  return place(value) > high + span ? 1 : place(value) < low - span ? -1 : 0;
}

/** Label of line number `i` of an axis; that of a far line is at the end of the axis, with an arrow. */
function lineLabel(axis, i, { label, value }) {
  const name = axes[axis], side = farSide(name, value);
  // Plotly places annotations on a logarithmic axis by exponent.
  const at = side ? { [axis]: side > 0 ? 1 : 0, [`${axis}ref`]: "paper" } : { [axis]: isLog(name) ? Math.log10(value) : value };
  // Shifts along the lines keep the labels of close lines apart, and those of both axes.
  const place = axis === "x" ? { y: 1, yref: "paper", yanchor: "top", yshift: -20 - LABEL_LENGTH * i, textangle: -90, xanchor: side < 0 ? "left" : "right" }
    : { x: 1, xref: "paper", xanchor: "right", xshift: -LABEL_LENGTH * i, yanchor: side > 0 ? "top" : "bottom" };
  // The text of a vertical line is turned by a quarter, and its arrow with it.
  const arrow = { "1": axis === "x" ? " ↓" : " ↑", "-1": axis === "x" ? " ↑" : " ↓", "0": "" }[side];
  return { ...at, ...place, text: label + arrow, showarrow: false, font: { size: 11, color: themeColour("soft") } };
}

/** Lines to compare with: classical codecs' BD-rates and PICO's published times. */
function landmarks() {
  const shapes = [], annotations = [];
  for (const [axis, other] of [["x", "y"], ["y", "x"]]) {
    for (const [i, line] of (RUNS[0].landmarks[axes[axis]] ?? []).entries()) {
      annotations.push(lineLabel(axis, i, line));
      if (farSide(axes[axis], line.value)) continue;
      shapes.push({ type: "line", [`${axis}0`]: line.value, [`${axis}1`]: line.value, [`${other}0`]: 0, [`${other}1`]: 1,
        [`${other}ref`]: "paper", line: { dash: "dot", width: 1.2, color: themeColour("soft") } });
    }
  }
  const band = RUNS.length === 1 && RUNS[0].goal.kind === "band" && axes.x === "decode_ms" ? RUNS[0].goal : null;
  if (band) {
    shapes.push({ type: "rect", x0: band.low_ms, x1: band.high_ms, y0: 0, y1: 1, yref: "paper", line: { width: 0 },
      fillcolor: themeColour("a"), opacity: 0.1 });
  }
  return { shapes, annotations };
}

/** Rings around the pinned candidates. */
function pinTrace() {
  const found = Object.entries(pins).filter(([, pin]) => pin);
  const at = (pin, name) => RUNS[pin.run].values[name][pin.row];
  return {
    type: "scatter", mode: "markers+text", name: "pinned", showlegend: false, hoverinfo: "skip",
    x: found.map(([, pin]) => at(pin, axes.x)), y: found.map(([, pin]) => at(pin, axes.y)),
    text: found.map(([slot]) => slot), textposition: "top center", textfont: { size: 15, color: themeColour("ink") },
    marker: { symbol: "circle-open", size: 20, line: { width: 3 },
      color: found.map(([slot]) => themeColour(slot.toLowerCase())) },
  };
}

function isLog(name) {
  const column = columnOf(RUNS[0], name);
  return Boolean(column.positive) && RUNS.every((run) => run.values[name].every((value) => value === null || value > 0));
}

function frontAxis(name) {
  const column = columnOf(RUNS[0], name);
  const values = RUNS.flatMap((run) => run.values[name]).filter((value) => value !== null);
  return axisLayout(column.title, isLog(name) ? logAxis(values) : {});
}

function drawFront() {
  const chart = document.getElementById("front");
  const traces = [...RUNS.flatMap(runTraces), pinTrace()];
  drawChart(chart, traces, { xaxis: frontAxis(axes.x), yaxis: frontAxis(axes.y), hovermode: "closest", ...landmarks() });
}

/** Move the rings only, so that a click is answered at once. */
function drawPins() {
  const chart = document.getElementById("front");
  const ring = pinTrace();
  Plotly.restyle(chart, {
    x: [ring.x], y: [ring.y], text: [ring.text], "marker.color": [ring.marker.color],
  }, [chart.data.length - 1]);
}

/** Move the selection along the front by arrow keys; Enter pins the selected candidate. */
function walkFront(event) {
  const run = RUNS[walk.run];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step && run.best.length) {
    walk.place = Math.min(Math.max(walk.place + step, 0), run.best.length - 1);
    const row = run.best[walk.place];
    const point = pointOf(walk.run, row);
    if (point) Plotly.Fx.hover("front", [point]);
    announce(`${run.ids[row]}: ${run.objectives.map((name) => described(run, row, name)).join(", ")}`);
  } else if (event.key === "Enter" && run.best[walk.place] !== undefined) {
    togglePin({ run: walk.run, row: run.best[walk.place] });
  } else {
    return;
  }
  event.preventDefault();
}

const walk = { run: 0, place: -1 };

function pointOf(number, row) {
  const { data } = document.getElementById("front");
  for (const [curveNumber, trace] of data.entries()) {
    const pointNumber = (trace.customdata ?? []).findIndex(([run, each]) => run === number && each === row);
    if (pointNumber >= 0) return { curveNumber, pointNumber };
  }
  return null;
}

function startFront() {
  const columns = sharedColumns().filter((column) => column.choice);
  [axes.x, axes.y] = PAGE.axes;
  // A third objective is shown by colour.
  axes.colour = RUNS[0].objectives.find((name) => !PAGE.axes.includes(name)) ?? "";
  for (const [key, none] of [["x"], ["y"], ["colour", "nothing"], ["size", "nothing"]]) {
    const select = document.getElementById(`axis-${key}`);
    const offered = key === "colour" ? columns : columns.filter((column) => !column.levels);
    fillChoices(select, offered, axes[key], none);
    select.addEventListener("change", () => { axes[key] = select.value; drawFront(); });
  }
  drawFront();
  const chart = document.getElementById("front");
  chart.on("plotly_click", ({ points }) => {
    const found = points.find((point) => point.customdata);
    if (found) togglePin({ run: found.customdata[0], row: found.customdata[1] });
  });
  chart.addEventListener("keydown", walkFront);
}
