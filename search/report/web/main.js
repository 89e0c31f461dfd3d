// Start of the page.

function redrawAll() {
  drawFront();
  drawProgress();
  drawLatency();
  drawCurves();
  for (const [id, draw] of [["mattered", fillMattered], ["parallel", drawParallel], ["space", drawSpace]]) {
    if (!document.getElementById(`${id}-section`).hidden) draw();
  }
}

function startTheme() {
  document.getElementById("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem(THEME_KEY, theme); } catch { /* A page opened as a file may have no storage. */ }
    setTheme(theme);
    redrawAll();
  });
}

function start() {
  setTheme(preferredTheme());
  startTheme();
  startLive();
  if (!RUNS.some((run) => run.best.length)) {
    document.body.dataset.ready = "";
    return;
  }
  readPins();
  startTables();
  startChoose();
  startFront();
  startLatency();
  startCrops();
  // The charts below the first screen follow one by one, so that the page answers in between.
  const later = [startCurves, showPins, startProgress, startMattered, startParallel, startSpace, () => { document.body.dataset.ready = ""; }];
  const next = () => { later.shift()(); if (later.length) setTimeout(next); };
  setTimeout(next);
}

start();
