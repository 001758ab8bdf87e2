// The table of differences or of tested features: sorted, filtered, searched.

const FIRST_ROWS = 25;

const interval = (x) => x.kind === "rewritten" ? x.kind : [number(x.exclusivity, 2), h("span", { class: "quiet ci" }, ` [${number(x.exclusivity_low, 2)}, ${number(x.exclusivity_high, 2)}]`)];

// name, what a cell shows, what it sorts by, class; numbers sort from large to small first.
const DIFFERENCE_COLUMNS = [
  ["id", (d) => h("a", { href: href("difference", d.id) }, visible(d.id)), (d) => d.id, ""],
  ["side", (d) => sideChip(d.side), (d) => d.side, ""],
  ["state", (d) => stateChip(state(d)), (d) => state(d), ""],
  ["strength", (d) => number(d.strength), (d) => d.strength, "num"],
  ["density", (d) => percent(d.density), (d) => d.density, "num wide"],
  ["exclusivity", interval, (d) => d.exclusivity, "num"],
  ["effect", (d) => (d.effect ? `${number(d.effect.firing)}${d.effect.measure === "kl" ? " nats" : ""}` : NOT_MEASURED()), (d) => (d.effect ? d.effect.firing : -1), "num wide"],
  ["seeds", (d) => seedsOf(d), (d) => d.seeds.length, "num wide"],
  ["documents", (d) => whole(d.documents), (d) => d.documents, "num wide"],
  ["fires on", (d) => [d.label ? h("strong", {}, `${cut(visible(d.label), 60)} `) : null, h("bdi", { class: "mono" }, cut(d.fires, 90))], (d) => d.fires, "text"],
];
const FEATURE_COLUMNS = [
  ["id", (f) => h("a", { href: href("feature", f.id) }, f.id), (f) => f.seed * 1e9 + f.index, ""],
  ["side", (f) => sideChip(f.side), (f) => f.side, ""],
  ["state", (f) => stateChip(f.state), (f) => f.state, ""],
  ["strength", (f) => number(f.strength), (f) => f.strength, "num"],
  ["density", (f) => percent(f.density), (f) => f.density, "num wide"],
  ["exclusivity", interval, (f) => f.exclusivity, "num"],
  ["R² own", (f) => number(f.r2_own, 2), (f) => f.r2_own, "num wide"],
  ["R² other", (f) => number(f.r2_other, 2), (f) => f.r2_other, "num wide"],
  ["documents", (f) => whole(f.documents), (f) => f.documents, "num wide"],
  ["why", (f) => (f.difference ? ["part of ", h("a", { href: href("difference", f.difference.id) }, visible(f.difference.id))] : visible(f.rejected)), (f) => (f.difference ? f.difference.id : f.rejected), "text"],
];

function words(x) {
  const texts = [x.id, x.side];
  if (x.tokens) {
    texts.push(x.label, state(x), ...x.tokens.map((t) => t.token), ...x.contexts.map((c) => c.before + c.token + c.after));
    texts.push(...x.description.words.map((w) => w[0]), ...x.description.promoted, ...x.description.suppressed);
    if (x.accepted) texts.push(x.accepted.reason, x.accepted.by);
  } else texts.push(x.state, x.rejected, x.difference ? x.difference.id : "");
  return texts.join("\n").toLowerCase();
}

// What was chosen stays while one looks at a feature and comes back.
const CHOSEN = { kind: DIFFERENCES.length || !FEATURES.length ? "differences" : "features", side: "", state: "", search: "", sort: { differences: [3, -1], features: [3, -1] } };
const ROWS = { differences: DIFFERENCES, features: FEATURES };
const COLUMNS = { differences: DIFFERENCE_COLUMNS, features: FEATURE_COLUMNS };
const WORDS = new Map();

function chosenRows() {
  const wanted = CHOSEN.search.trim().toLowerCase();
  const of = (x) => WORDS.get(x) || (WORDS.set(x, words(x)), WORDS.get(x));
  const rows = ROWS[CHOSEN.kind].filter((x) =>
    (!CHOSEN.side || x.side === CHOSEN.side) && (!CHOSEN.state || (x.tokens ? state(x) : x.state) === CHOSEN.state) &&
    (!wanted || of(x).includes(wanted)));
  const [column, direction] = CHOSEN.sort[CHOSEN.kind];
  const key = COLUMNS[CHOSEN.kind][column][2];
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return rows.map((x) => [key(x), x]).sort((a, b) => direction * order(a[0], b[0])).map((pair) => pair[1]);
}

function browser() {
  const body = h("tbody");
  const head = h("tr");
  const count = h("p", { class: "count", role: "status" });
  const more = h("p");
  const states = h("select", { onchange: (e) => set("state", e.target.value) });
  const kinds = h("div", { class: "kinds", role: "group", "aria-label": "Rows of the table" });
  const tables = h("table", { class: "browse" }, h("caption", { class: "quiet" }, "Press a column's name to sort by it."), h("thead", {}, head), body);

  function set(name, value) {
    CHOSEN[name] = value;
    draw();
  }
  function sortBy(i) {
    const [column, direction] = CHOSEN.sort[CHOSEN.kind];
    const first = COLUMNS[CHOSEN.kind][i][3].includes("num") ? -1 : 1;
    CHOSEN.sort[CHOSEN.kind] = [i, i === column ? -direction : first];
    draw();
    head.children[i].querySelector("button").focus();
  }
  function draw(limit = FIRST_ROWS) {
    const columns = COLUMNS[CHOSEN.kind];
    const [sorted, direction] = CHOSEN.sort[CHOSEN.kind];
    head.replaceChildren(...columns.map(([name, , , cls], i) => h("th", { scope: "col", class: cls, "aria-sort": i === sorted ? (direction > 0 ? "ascending" : "descending") : null },
      h("button", { type: "button", onclick: () => sortBy(i) }, name, h("span", { "aria-hidden": "true", class: "arrow" }, i === sorted ? (direction > 0 ? "▲" : "▼") : "")))));
    const rows = chosenRows();
    body.replaceChildren(...rows.slice(0, limit).map((x) => h("tr", { class: x.tokens ? "" : x.state }, columns.map(([name, show, , cls], i) => h(i ? "td" : "th", { class: cls, scope: i ? null : "row", "data-name": cls.includes("num") ? name : null }, show(x))))));
    const all = ROWS[CHOSEN.kind].length;
    const noun = CHOSEN.kind.slice(0, -1);
    count.textContent = rows.length === all ? plural(all, noun) : `${whole(rows.length)} of ${plural(all, noun)}`;
    more.replaceChildren(...(rows.length > limit ? [h("button", { type: "button", onclick: () => draw(Infinity) }, `Show all ${whole(rows.length)}`)] : []));
    tables.classList.toggle("empty", !rows.length);
    const known = [...new Set(ROWS[CHOSEN.kind].map((x) => (x.tokens ? state(x) : x.state)))].sort();
    states.replaceChildren(h("option", { value: "" }, "any state"), ...known.map((w) => h("option", { value: w, selected: w === CHOSEN.state }, w)));
    kinds.replaceChildren(...["differences", "features"].map((kind) => h("button", { type: "button", "aria-pressed": String(kind === CHOSEN.kind), onclick: () => { CHOSEN.state = ""; set("kind", kind); kinds.querySelector("[aria-pressed=true]").focus(); } },
      kind === "differences" ? `Differences (${whole(DIFFERENCES.length)})` : `All tested features (${whole(FEATURES.length)})`)));
  }
  const side = h("select", { onchange: (e) => set("side", e.target.value) }, ["", ...SIDES].map((v) => h("option", { value: v, selected: v === CHOSEN.side }, v ? `${v} only` : "both sides")));
  const search = h("input", { type: "search", value: CHOSEN.search, placeholder: "tokens, contexts, words …", oninput: (e) => set("search", e.target.value) });
  draw();
  return h("div", { class: "browser" }, kinds,
    h("div", { class: "filters" }, h("label", {}, "Search ", search), h("label", {}, "Side ", side), h("label", {}, "State ", states), count),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of differences or features" }, tables), more);
}
