// Requests to the server, which are repeated while the connection is lost.

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 5000;
const csrf = document.body.dataset.csrf;
const base = location.pathname.replace(/\/$/, "");

export class Refused extends Error {}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export const address = (path) => base + path;

export function tell(text) {
  const problem = document.getElementById("problem");
  problem.textContent = text;
  problem.hidden = text === "";
}

/** The JSON answer to a GET, or to a POST if there is a body. Throws Refused if the server refuses. */
export async function request(path, body) {
  const options = { headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
    options.headers["X-CSRF-Token"] = csrf;
  }
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    const answer = await attempt(path, options);
    if (answer !== undefined) return answer;
    await pause(wait);
  }
}

/** The JSON answer, or undefined if the request should be repeated. */
async function attempt(path, options) {
  let response;
  try {
    response = await fetch(address(path), options);
  } catch {
    tell("The connection is lost. Nothing is lost: this page tries again.");
    return undefined;
  }
  if (response.status >= 500 || response.status === 429) {
    tell("The server is busy. Nothing is lost: this page tries again.");
    return undefined;
  }
  const answer = await response.json();
  if (!response.ok) {
    tell(`The server refused this: ${answer.error}. Load the page again to continue.`);
    throw new Refused(answer.error);
  }
  tell("");
  return answer;
}
