// Joining a study.

import { request } from "./requests.js";

const begin = document.getElementById("begin");
begin.addEventListener("click", async () => {
  begin.disabled = true;
  try {
    const { link } = await request("", {});
    location.assign(link);
  } catch {
    begin.disabled = false;
  }
});
