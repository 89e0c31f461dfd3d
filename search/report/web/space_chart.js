// The space: predicted decode time over multiply-accumulates, with the front drawn in.

function drawSpace() {
  const [run] = RUNS;
  const { x, y, counts } = run.space_sample;
  drawChart("space", [{
    type: "heatmap", x, y, z: counts.map((line) => line.map((count) => (count ? Math.log10(count) : null))),
    colorscale: "Greys", reversescale: document.documentElement.dataset.theme !== "dark", showscale: false, hoverinfo: "skip", opacity: 0.8,
  }, frontTrace(run)], {
    xaxis: axisLayout("decoder kMAC/px"), yaxis: axisLayout(columnOf(run, "decode_ms").title, { ...logAxis(y) }),
    hovermode: "closest", showlegend: false, margin: { l: 60, r: 12, t: 10, b: 50 },
  });
}

function frontTrace(run) {
  return {
    type: "scatter", mode: "markers", x: run.best.map((row) => run.values.kmac_per_px[row]),
    y: run.best.map((row) => run.values.decode_ms[row]), text: run.best.map((row) => run.ids[row]),
    customdata: run.best.map((row) => [0, row]), hovertemplate: "%{text}<extra></extra>",
    marker: { symbol: "diamond", size: 9, color: themeColour("b"), line: { width: 1, color: themeColour("paper") } },
  };
}

function startSpace() {
  const shows = RUNS.length === 1 && RUNS[0].space_sample;
  document.getElementById("space-section").hidden = !shows;
  if (!shows) return;
  drawSpace();
  document.getElementById("space").on("plotly_click", ({ points: [{ customdata }] }) => {
    if (customdata) togglePin({ run: customdata[0], row: customdata[1] });
  });
}
