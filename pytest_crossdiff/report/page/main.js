// Which page is shown, and in which colours.

const THEMES = ["auto", "light", "dark"];
const root = document.documentElement;

function setTheme(name) {
  if (name === "auto") delete root.dataset.theme;
  else root.dataset.theme = name;
  const button = document.getElementById("theme");
  button.textContent = `Colours: ${name}`;
  button.onclick = () => {
    const next = THEMES[(THEMES.indexOf(name) + 1) % THEMES.length];
    try { localStorage.setItem("crossdiff-theme", next); } catch { /* a file may have no storage */ }
    setTheme(next);
  };
}

function storedTheme() {
  try {
    const name = localStorage.getItem("crossdiff-theme");
    return THEMES.includes(name) ? name : "auto";
  } catch {
    return "auto";
  }
}

function missing(what) {
  return h("article", {}, h("h1", { tabindex: "-1" }, "Not in this report"), h("p", {}, `There is no ${visible(what)} here. `, h("a", { href: "#/" }, "To the overview")));
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function content() {
  const [, kind = "", id = ""] = location.hash.match(/^#\/([a-z]+)\/(.*)$/) || [];
  const name = decoded(id);
  if (kind === "difference") return [BY_ID.has(name) ? differencePage(BY_ID.get(name)) : missing(`difference ${name}`), name];
  if (kind === "feature") return [FEATURE_BY_ID.has(name) ? featurePage(FEATURE_BY_ID.get(name)) : missing(`feature ${name}`), `feature ${name}`];
  return [overview(), ""];
}

const SCROLLED = { top: 0, last: 0, page: null };

function draw(first) {
  if (location.hash && !location.hash.startsWith("#/")) return; // the skip link
  hideTip();
  const main = document.getElementById("main");
  if (SCROLLED.page === "") SCROLLED.top = SCROLLED.last;
  const [node, name] = content();
  main.replaceChildren(node);
  document.title = `${name ? `${visible(name)} · ` : ""}${PAIR}`;
  SCROLLED.page = name;
  if (first) return;
  const heading = main.querySelector("h1");
  heading.focus({ preventScroll: true });
  scrollTo(0, name ? 0 : SCROLLED.top);
}

const PAIR = visible(`${shortName(RESULT.baseline.reference)} → ${shortName(RESULT.candidate.reference)}`);
document.getElementById("pair").append(h("bdi", {}, PAIR));
setTheme(storedTheme());
addEventListener("scroll", () => { if (SCROLLED.page === "") SCROLLED.last = scrollY; }, { passive: true });
addEventListener("hashchange", () => draw(false));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.dataset.was = d.open; d.open = true; }));
addEventListener("afterprint", () => document.querySelectorAll("details").forEach((d) => { d.open = d.dataset.was === "true"; }));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main").focus(); });
draw(true);
