// Where the predicted time of the pinned candidates goes, by stage or by kind of op.

function drawLatency() {
  const [half, by] = ["latency-half", "latency-by"].map((id) => document.getElementById(id).value);
  const held = Object.entries(pins).filter(([, pin]) => pin && RUNS[pin.run].latency);
  document.getElementById("latency-section").hidden = !held.length;
  if (!held.length) return;
  const traces = held.map(([slot, pin]) => {
    const { names, ms } = RUNS[pin.run].latency[half][by];
    return {
      type: "bar", orientation: "h", name: `${slot}: ${RUNS[pin.run].ids[pin.row]}`, y: names, x: ms[pin.row],
      marker: { color: themeColour(slot.toLowerCase()) }, hovertemplate: "%{y}: %{x:.2f} ms<extra>%{fullData.name}</extra>",
    };
  });
  // Parts that take no time in any pinned candidate are left out.
  const used = traces[0].y.filter((name) => traces.some(({ y, x }) => x[y.indexOf(name)] > 0));
  for (const trace of traces) {
    trace.x = used.map((name) => trace.x[trace.y.indexOf(name)]);
    trace.y = used;
  }
  document.getElementById("latency").style.height = `${110 + 34 * used.length}px`;
  drawChart("latency", traces, {
    xaxis: axisLayout(`predicted ${half} time, 12 MP (ms)`), yaxis: axisLayout("", { autorange: "reversed" }), barmode: "group",
  });
}

function startLatency() {
  for (const id of ["latency-half", "latency-by"]) document.getElementById(id).addEventListener("change", drawLatency);
}
