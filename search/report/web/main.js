// Start of the page.

function redrawAll() {
  drawFront();
  drawProgress();
  drawLatency();
  drawCurves();
  for (const [id, draw] of [["mattered", fillMattered], ["parallel", drawParallel], ["space", drawSpace]]) {
    const section = document.getElementById(`${id}-section`);
    if (!section.hidden && section.querySelector(".js-plotly-plot")) draw();
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

/** Draw a slow chart when it comes near the screen. */
function whenNear(id, draw) {
  const observer = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    draw();
  }, { rootMargin: "300px" });
  observer.observe(document.getElementById(id));
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
  const later = [startCurves, showPins, startProgress, startMattered, startSpace, () => whenNear("parallel-section", startParallel), () => { document.body.dataset.ready = ""; }];
  const next = () => { later.shift()(); if (later.length) setTimeout(next); };
  setTimeout(next);
}

start();
