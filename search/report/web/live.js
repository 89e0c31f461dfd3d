// While the page is served, say when the report has been written again.

const POLL_MS = 3000;

async function watchReport() {
  const ask = async () => (await fetch(location.pathname, { method: "HEAD", cache: "no-store" })).headers.get("Last-Modified");
  const first = await ask();
  const timer = setInterval(async () => {
    let now = first;
    try { now = await ask(); } catch { return; } // The server may have been stopped.
    if (now === first) return;
    clearInterval(timer);
    document.getElementById("changed").hidden = false;
    announce("The report has been written again.");
  }, POLL_MS);
}

function startLive() {
  document.querySelector("#changed button").addEventListener("click", () => location.reload());
  if (PAGE.live && location.protocol === "http:") watchReport();
}
