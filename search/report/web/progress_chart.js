// Progress of the search over evaluations or over time.

function drawProgress() {
  const over = document.getElementById("progress-over").value;
  const traces = RUNS.filter((run) => run.progress).map((run, i) => ({
    type: "scatter", mode: "lines", name: run.name, x: run.progress[over], y: run.progress.value,
    line: { shape: "hv", color: RUNS.length > 1 ? PALETTE[i % PALETTE.length] : themeColour("a") },
    hovertemplate: `%{x:.4~g} ${over}: %{y:.4f}<extra>${run.name}</extra>`,
  }));
  drawChart("progress", traces, {
    xaxis: axisLayout(over), yaxis: axisLayout(PAGE.measure), showlegend: RUNS.length > 1,
  });
}

function startProgress() {
  const any = RUNS.some((run) => run.progress);
  document.getElementById("progress-section").hidden = !any;
  if (!any) return;
  document.getElementById("progress-over").addEventListener("change", drawProgress);
  drawProgress();
}
