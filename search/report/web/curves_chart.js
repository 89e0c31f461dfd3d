// Rate-distortion curves of the pinned candidates, the reference and the classical codecs.

function drawCurves() {
  const metric = document.getElementById("curves-metric").value;
  const held = Object.entries(pins).filter(([, pin]) => pin);
  const first = RUNS[held[0]?.[1].run ?? 0];
  if (!first.metrics[metric]) return;
  const traces = [];
  const add = (name, curve, color, more = {}) => {
    if (curve?.[metric]) {
      traces.push({ type: "scatter", mode: "lines+markers", name, x: curve.bpp, y: curve[metric], line: { color, ...more }, marker: { color } });
    }
  };
  for (const [slot, pin] of held) {
    const run = RUNS[pin.run];
    add(`${slot}: ${run.ids[pin.row]}`, run.curves[pin.row], themeColour(slot.toLowerCase()));
  }
  if (!held.length) {
    const ends = [...new Set([first.best[0], first.best.at(-1)])];
    ends.forEach((row, i) => add(`${first.ids[row]} (${i ? "last" : "first"} of the ${first.goal.noun})`, first.curves[row], PALETTE[2 + i]));
  }
  if (first.reference) add("reference", first.reference.curve, themeColour("reference"), { dash: "dash" });
  for (const [i, [name, curve]] of Object.entries(first.anchors).entries()) {
    add(name, curve, themeColour("soft"), { dash: ["dot", "dashdot", "longdash"][i % 3] });
  }
  drawChart("curves", traces, { xaxis: axisLayout("bpp"), yaxis: axisLayout(first.metrics[metric]), hovermode: "closest" });
}

function startCurves() {
  const select = document.getElementById("curves-metric");
  for (const [name, label] of Object.entries(RUNS[0].metrics)) select.append(new Option(label, name));
  const any = RUNS.some((run) => run.curves.some(Boolean));
  document.getElementById("curves-section").hidden = !any;
  if (!any) return;
  select.value = RUNS[0].metric;
  select.addEventListener("change", drawCurves);
  drawCurves();
}
