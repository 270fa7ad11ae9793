// Optional features: local times, a slider that applies at once, sign-in links, and runs that refresh until they finish.
// Every page works without them.
"use strict";

function addLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.valueOf())) {
      time.title = `${time.dateTime}\n${date.toLocaleString()} (local time)`;
    }
  }
}

// Each step by keyboard loads a new page. The next page then focuses the slider, so that the keyboard continues to move it.
const FOCUS_SLIDER = "slider";

function enhanceSlider(form) {
  const [range, output] = [form.querySelector("input[type=range]"), form.querySelector("output")];
  const newest = Number(range.dataset.newest);
  range.addEventListener("input", () => {
    const position = Number(range.value);
    output.textContent = position > newest ? "now" : `${position.toLocaleString("en")} of ${newest.toLocaleString("en")}`;
  });
  const submit = () => {
    sessionStorage.setItem(FOCUS_SLIDER, document.activeElement === range ? "yes" : "");
    range.disabled = Number(range.value) > newest; // now has no position: a disabled field is not sent
    form.submit();
  };
  if (sessionStorage.getItem(FOCUS_SLIDER)) {
    range.focus();
  }
  sessionStorage.removeItem(FOCUS_SLIDER);
  range.addEventListener("change", submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
}

// A sign-in link has the token after the #, which browsers do not send to servers.
function signIn(form) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.token.value = token;
    if (form.dataset.signIn) {
      form.submit(); // not with a session: a link must not replace it without a click
    }
  }
}

// Reloads a section until its run has finished. A live region announces each new state to screen readers.
function refresh(section) {
  const state = (root) => root.querySelector("[role=status]")?.textContent;
  const load = async () => {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.status === 429) {
        setTimeout(load, 1000 * Number(response.headers.get("Retry-After") ?? 5));
        return;
      }
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const update = response.ok && !response.redirected && page.getElementById(section.id);
      if (!update) {
        location.reload();
        return;
      }
      if (state(update) !== state(section)) {
        document.getElementById("news").textContent = state(update);
      }
      addLocalTimes(update);
      section.replaceWith(update);
      if ("follow" in update.dataset) {
        refresh(update);
      }
    } catch {
      setTimeout(load, 5000);
    }
  };
  setTimeout(load, 1500);
}

addLocalTimes(document);
document.querySelectorAll("form[data-slider]").forEach(enhanceSlider);
document.querySelectorAll("form[data-sign-in]").forEach(signIn);
document.querySelectorAll("[data-follow]").forEach(refresh);
