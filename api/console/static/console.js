// What pages can do without, and are nicer with: local times, a slider that moves at once, runs that are followed.
"use strict";

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.valueOf())) {
      time.title = `${time.dateTime}\n${moment.toLocaleString()} (local time)`;
    }
  }
}

// Who moves it step by step, by the keyboard, finds it under their hands on the next page.
const MOVED = "slider";

function slider(form) {
  const [range, output] = [form.querySelector("input[type=range]"), form.querySelector("output")];
  const newest = Number(range.dataset.newest);
  range.addEventListener("input", () => {
    const position = Number(range.value);
    output.textContent = position > newest ? "now" : `${position.toLocaleString("en")} of ${newest.toLocaleString("en")}`;
  });
  const go = () => {
    sessionStorage.setItem(MOVED, document.activeElement === range ? "here" : "");
    range.disabled = Number(range.value) > newest; // the present has no position
    form.submit();
  };
  if (sessionStorage.getItem(MOVED)) {
    range.focus();
  }
  sessionStorage.removeItem(MOVED);
  range.addEventListener("change", go);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
}

// A sign-in link has the token behind its #, which browsers send to nobody.
function signIn(form) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.token.value = token;
    if (form.dataset.signIn) {
      form.submit(); // who is signed in already decides by hand
    }
  }
}

// What goes on is loaded anew until it has ended; whoever listens is told each new state.
function follow(part) {
  const state = (of) => of.querySelector("[role=status]")?.textContent;
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 429) {
        setTimeout(again, 1000 * Number(answer.headers.get("Retry-After") ?? 5));
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = answer.ok && !answer.redirected && page.getElementById(part.id);
      if (!fresh) {
        location.reload();
        return;
      }
      if (state(fresh) !== state(part)) {
        document.getElementById("news").textContent = state(fresh);
      }
      localTimes(fresh);
      part.replaceWith(fresh);
      if ("follow" in fresh.dataset) {
        follow(fresh);
      }
    } catch {
      setTimeout(again, 5000);
    }
  };
  setTimeout(again, 1500);
}

localTimes(document);
document.querySelectorAll("form[data-slider]").forEach(slider);
document.querySelectorAll("form[data-sign-in]").forEach(signIn);
document.querySelectorAll("[data-follow]").forEach(follow);
